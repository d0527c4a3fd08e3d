import numpy as np
import pytest

from apps.messages import FrameError
from apps.model_api.frame import frame_from_bytes, frame_to_bytes
from tests.unit.apps.spark_jobs.frames import frame, scene


def test_a_frame_travels_whole_and_has_its_pixels() -> None:
    image = scene(size=(64, 48))
    sent = frame(image)
    got = frame_from_bytes(frame_to_bytes(sent))
    assert vars(got) == vars(sent)
    assert (got.image.shape, got.image.dtype) == ((48, 64, 3), np.uint8)
    assert np.abs(got.image.astype(int) - image).mean() < 4
    assert got.image is got.image


def test_pixels_of_another_size_than_the_frame_s_are_no_image() -> None:
    sent = frame(scene(size=(64, 48)))
    got = frame_from_bytes(frame_to_bytes(type(sent)(**{**vars(sent), "width": 65})))
    with pytest.raises(FrameError, match="the JPEG is 64x48, its headers say 65x48"):
        _ = got.image
