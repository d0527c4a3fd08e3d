import cv2
import numpy as np
import pytest

from apps.producer.image import encode, masked, to_width
from apps.producer.settings import Camera
from apps.scenes import render

IMAGE = render("cam-02", 1000, 1280, 720)


def camera(**settings: object) -> Camera:
    return Camera.model_validate({"name": "c", "url": "synthetic://x", "frames_per_second": 1, **settings})


@pytest.mark.parametrize(
    ("width", "expected"), [(640, (640, 360)), (500, (500, 281)), (1280, (1280, 720)), (4000, (1280, 720))]
)
def test_a_frame_keeps_its_aspect_and_is_never_enlarged(width: int, expected: tuple[int, int]) -> None:
    assert to_width(IMAGE, width).shape[1::-1] == expected
    encoded = encode(IMAGE, camera(width=width))
    assert (encoded.width, encoded.height) == expected
    assert cv2.imdecode(np.frombuffer(encoded.jpeg, np.uint8), cv2.IMREAD_COLOR).shape[1::-1] == expected


def test_quality_costs_bytes() -> None:
    assert len(encode(IMAGE, camera(jpeg_quality=40)).jpeg) < 0.7 * len(encode(IMAGE, camera(jpeg_quality=90)).jpeg)


def test_grey_has_no_colour() -> None:
    image = cv2.imdecode(np.frombuffer(encode(IMAGE, camera(grey=True)).jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert np.ptp(image, axis=2).max() == 0


def test_a_mask_hides_its_rectangle_and_nothing_else() -> None:
    covered = masked(IMAGE, ((0.25, 0.5, 0.5, 1.0),))
    inside = (slice(360, 720), slice(320, 640))
    assert cv2.Laplacian(covered[inside], cv2.CV_64F).var() < 0.05 * cv2.Laplacian(IMAGE[inside], cv2.CV_64F).var()
    assert (covered[:360] == IMAGE[:360]).all()
    assert (covered[:, 640:] == IMAGE[:, 640:]).all()


@pytest.mark.parametrize("mask", [(0.0, 0.0, 1.0, 1.0), (0.999, 0.999, 1.0, 1.0), (0.0, 0.0, 0.0001, 0.0001)])
def test_masks_of_any_size_work(mask: tuple[float, float, float, float]) -> None:
    assert masked(IMAGE, (mask,)).shape == IMAGE.shape
