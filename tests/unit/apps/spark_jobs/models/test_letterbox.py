import numpy as np
import pytest

from apps.spark_jobs.models.letterbox import PADDING, Letterbox

CASES = [((640, 360), (320, 320)), ((640, 360), (320, 192)), ((360, 640), (320, 192)), ((100, 50), (320, 320))]


@pytest.mark.parametrize(("frame", "target"), CASES)
def test_a_box_drawn_in_the_frame_comes_back_to_where_it_was(frame, target) -> None:
    box = (frame[0] // 4, frame[1] // 4, frame[0] // 2, frame[1] * 3 // 4)
    image = np.zeros((frame[1], frame[0], 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    canvas = np.empty((target[1], target[0], 3), np.uint8)
    letterbox = Letterbox(frame, target)
    letterbox.fit(image, canvas)
    rows, columns = np.nonzero(canvas[:, :, 0] > 200)
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    assert letterbox.to_frame(seen)[0] == pytest.approx(box, abs=1.5 / letterbox.scale)


def test_the_frame_is_centred_on_the_training_grey() -> None:
    canvas = np.empty((320, 320, 3), np.uint8)
    Letterbox((640, 360), (320, 320)).fit(np.zeros((180, 320, 3), np.uint8), canvas)
    assert (canvas[:70] == PADDING).all()
    assert (canvas[70:250] == 0).all()
    assert (canvas[250:] == PADDING).all()


def test_boxes_are_cut_at_the_frames_edges() -> None:
    boxes = np.array([[-5, 0, 400, 320]], np.float32)
    assert Letterbox((640, 360), (320, 320)).to_frame(boxes).tolist() == [[0, 0, 640, 360]]


def test_no_boxes_is_no_boxes() -> None:
    assert Letterbox((640, 360), (320, 320)).to_frame(np.empty((0, 4), np.float32)).shape == (0, 4)
