import numpy as np
import pytest

from apps.spark_jobs.models.placement import PADDING, Placement

CASES = [((640, 360), (320, 320)), ((640, 360), (320, 192)), ((360, 640), (320, 192)), ((100, 50), (320, 320))]


@pytest.mark.parametrize("fit", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize(("frame", "target"), CASES)
def test_a_box_drawn_in_the_frame_comes_back_to_where_it_was(frame, target, fit) -> None:
    # The middle, which is visible with every fit.
    side = min(frame) // 4
    box = (frame[0] // 2 - side, frame[1] // 2 - side // 2, frame[0] // 2 + side, frame[1] // 2 + side // 2)
    image = np.zeros((frame[1], frame[0], 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    canvas = np.empty((target[1], target[0], 3), np.uint8)
    placement = Placement(frame, target, fit)
    placement.draw(image, canvas)
    rows, columns = np.nonzero(canvas[:, :, 0] > 200)
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    worst = 2 * max(frame[0] / placement.inner[0], frame[1] / placement.inner[1])
    assert placement.to_frame(seen)[0] == pytest.approx(box, abs=worst)


def test_the_frame_is_centred_on_the_training_grey() -> None:
    canvas = np.empty((320, 320, 3), np.uint8)
    Placement((640, 360), (320, 320)).draw(np.zeros((180, 320, 3), np.uint8), canvas)
    assert (canvas[:70] == PADDING).all()
    assert (canvas[70:250] == 0).all()
    assert (canvas[250:] == PADDING).all()


def test_a_stretched_frame_and_a_cropped_one_have_no_grey() -> None:
    for fit in ("stretch", "crop"):
        canvas = np.empty((320, 320, 3), np.uint8)
        Placement((640, 360), (320, 320), fit).draw(np.zeros((360, 640, 3), np.uint8), canvas)
        assert (canvas == 0).all()


def test_a_grey_frame_has_one_channel() -> None:
    canvas = np.empty((192, 320, 1), np.uint8)
    Placement((640, 360), (320, 192)).draw(np.zeros((360, 640), np.uint8), canvas)
    assert (canvas[6:-6] == 0).all()


def test_boxes_are_cut_at_the_frames_edges() -> None:
    boxes = np.array([[-5, 0, 400, 320]], np.float32)
    assert Placement((640, 360), (320, 320)).to_frame(boxes).tolist() == [[0, 0, 640, 360]]
    assert Placement((640, 360), (320, 320)).to_frame(boxes, cut=False)[0][0] == -10


def test_no_boxes_is_no_boxes() -> None:
    assert Placement((640, 360), (320, 320)).to_frame(np.empty((0, 4), np.float32)).shape == (0, 4)
