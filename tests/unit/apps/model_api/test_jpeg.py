from dataclasses import replace

import numpy as np
import pytest

from apps.messages import FrameError
from apps.model_api import jpeg
from apps.model_api.jpeg import SharedFrame, decode, jpeg_size, reduction
from tests.unit.apps.spark_jobs.frames import encode, frame, scene


def test_size_comes_from_the_jpegs_own_header() -> None:
    assert jpeg_size(encode(scene(size=(322, 178)))) == (322, 178)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"not a jpeg", "not a JPEG"),
        (lambda data: b"", "not a JPEG"),
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:2] + b"\0" * 20 + data[22:], "segments are corrupt"),
        (lambda data: b"\xff\xd8\xff\xd9", "no frame header"),
    ],
)
def test_what_is_no_whole_jpeg_is_refused(damage, reason) -> None:
    with pytest.raises(FrameError, match=reason):
        jpeg_size(damage(encode(scene())))


def test_padding_after_the_end_is_accepted() -> None:
    assert jpeg_size(encode(scene()) + b"\0\0\0") == (640, 360)


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((640, 360), (320, 192), 2),
        ((640, 360), (320, 320), 2),
        ((639, 360), (320, 320), 1),
        ((1920, 1080), (320, 192), 4),
        ((4000, 3000), (320, 320), 8),
        ((100, 100), (320, 320), 1),
    ],
)
def test_a_frame_is_reduced_only_as_far_as_nothing_is_lost(size, target, expected) -> None:
    assert reduction(size, target) == expected


def test_decoding_reduces_colour_and_grey() -> None:
    assert decode(frame(scene()), (320, 192)).shape == (180, 320, 3)
    assert decode(frame(scene()), (160, 160), grey=True).shape == (90, 160)


def shared_frame(size: tuple[int, int] = (640, 360)) -> SharedFrame:
    return SharedFrame.of(frame(scene(size=size)))


def test_a_picture_that_several_models_look_at_is_decoded_once() -> None:
    of_all = shared_frame()
    first = decode(of_all, (320, 192))
    assert decode(of_all, (320, 180)) is first
    assert np.array_equal(first, decode(frame(scene()), (320, 192)))
    assert decode(of_all, (640, 640)).shape == (360, 640, 3)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 0


@pytest.mark.parametrize("seen", [[((640, 640), False)], [((320, 192), False)], [((320, 192), True)]])
def test_a_small_grey_picture_comes_from_a_larger_one_as_the_decoder_would_make_it(seen, monkeypatch) -> None:
    of_all = shared_frame()
    for target, grey in seen:
        decode(of_all, target, grey=grey)
    own = decode(frame(scene()), (160, 160), grey=True)
    monkeypatch.setattr(jpeg.cv2, "imdecode", None)
    derived = decode(of_all, (160, 160), grey=True)
    assert derived.shape == own.shape
    assert np.abs(derived.astype(int) - own).max() <= 3


@pytest.mark.parametrize(("size", "target"), [((640, 360), (320, 192)), ((642, 362), (160, 160))])
def test_a_grey_picture_is_decoded_where_nothing_larger_fits_exactly(size, target) -> None:
    of_all = shared_frame(size)
    decode(of_all, (size[0] // 2, size[1] // 2))
    assert np.array_equal(decode(of_all, target, grey=True), decode(frame(scene(size=size)), target, grey=True))


def test_a_colour_picture_is_never_derived() -> None:
    of_all = shared_frame()
    decode(of_all, (640, 640))
    assert np.array_equal(decode(of_all, (320, 192)), decode(frame(scene()), (320, 192)))


def test_a_corrupt_picture_is_refused_for_every_model() -> None:
    cut = SharedFrame.of(replace(frame(scene()), jpeg=encode(scene())[:-200]))
    for _ in range(2):
        with pytest.raises(FrameError, match="cut short"):
            decode(cut, (320, 192))


def test_a_frame_whose_headers_lie_about_its_size_is_refused() -> None:
    with pytest.raises(FrameError, match="640x360, its headers say 320x360"):
        decode(replace(frame(scene()), width=320), (320, 320))


def test_a_frame_with_too_many_pixels_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "MAX_PIXELS", 1000)
    with pytest.raises(FrameError, match="230400 pixels, more than 1000"):
        decode(frame(scene()), (320, 320))


def test_a_jpeg_that_opencv_cannot_read_is_refused() -> None:
    good = encode(np.zeros((16, 16, 3), np.uint8))
    start = good.index(b"\xff\xdb")
    broken = good[:start] + b"\xff\xe0" + good[start + 2 :]
    with pytest.raises(FrameError, match="does not decode"):
        decode(replace(frame(np.zeros((16, 16, 3), np.uint8)), jpeg=broken), (16, 16))
