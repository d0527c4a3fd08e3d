import cv2
import numpy as np
import pytest

from apps.producer import image as module
from apps.producer.image import encode, masked, prepare, to_width
from apps.producer.jpeg import read_jpeg
from apps.producer.memory import MIB, Room
from apps.producer.settings import Camera
from apps.producer.sources import CorruptImage, OversizeImage
from apps.scenes import render
from tests.unit.apps.memory import memory_of

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


def jpeg(image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, options)[1].tobytes()


def with_orientation(data: bytes, orientation: int) -> bytes:
    """The JPEG with an Exif header that asks readers to turn it."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + bytes([0, orientation, 0, 0])
    body = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


@pytest.mark.parametrize("settings", [{"width": 1280}, {"width": 4000, "jpeg_quality": 10}])
def test_a_jpeg_as_the_settings_ask_is_sent_as_it_came(settings: dict[str, int]) -> None:
    data = jpeg(IMAGE)
    sent = prepare(read_jpeg(data), camera(**settings), len(data))
    assert (sent.jpeg, sent.width, sent.height) == (data, 1280, 720)


def test_a_grey_jpeg_of_a_grey_camera_is_sent_as_it_came() -> None:
    data = jpeg(cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY))
    assert prepare(read_jpeg(data), camera(width=1280, grey=True), len(data)).jpeg == data


@pytest.mark.parametrize("settings", [{"width": 640}, {"grey": True}, {"masks": [[0, 0, 0.5, 0.5]]}])
def test_a_jpeg_that_the_settings_change_is_encoded_like_its_pixels(settings: dict[str, object]) -> None:
    data, wanted = jpeg(IMAGE), camera(**{"width": 1280, **settings})
    decoded = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
    assert prepare(read_jpeg(data), wanted, len(data)) == encode(decoded, wanted)


def test_a_jpeg_of_too_many_bytes_is_encoded_again() -> None:
    data = jpeg(IMAGE, cv2.IMWRITE_JPEG_QUALITY, 100)
    assert len(prepare(read_jpeg(data), camera(width=1280), len(data) - 1).jpeg) < 0.6 * len(data)


@pytest.mark.parametrize(
    "data",
    [
        jpeg(IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        with_orientation(jpeg(IMAGE), 1),
    ],
    ids=["progressive", "exif"],
)
def test_a_jpeg_that_readers_differ_on_is_encoded_again(data: bytes) -> None:
    sent = prepare(read_jpeg(data), camera(width=1280), len(data))
    assert (sent.width, sent.height) == (1280, 720)
    assert read_jpeg(sent.jpeg).plain


def test_a_jpeg_that_asks_for_a_turn_is_turned() -> None:
    data = with_orientation(jpeg(IMAGE), 6)
    sent = prepare(read_jpeg(data), camera(width=1280), len(data))
    assert (sent.width, sent.height) == (720, 1280)


def test_a_jpeg_that_does_not_decode_has_a_reason() -> None:
    start = jpeg(IMAGE).index(b"\xff\xda")
    data = jpeg(IMAGE)[: start + 2] + b"\0\x03\x07\xff\xd9"
    with pytest.raises(CorruptImage, match="do not decode"):
        prepare(read_jpeg(data), camera(grey=True), len(data))


def of_size(data: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    at = next(data.find(bytes([0xFF, marker])) for marker in (0xC0, 0xC2) if bytes([0xFF, marker, 0, 17]) in data)
    return data[: at + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 9 :]


def test_a_huge_jpeg_is_reduced_while_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGE", 1280 * 720 * 3 - 1)
    decoded: list[int] = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: decoded.append(flags) or decode(data, flags))
    data = jpeg(IMAGE)
    for width, flags in ((160, cv2.IMREAD_REDUCED_COLOR_8), (161, cv2.IMREAD_REDUCED_COLOR_4), (641, cv2.IMREAD_COLOR)):
        sent = prepare(read_jpeg(data), camera(width=width), len(data))
        assert (decoded.pop(), sent.width) == (flags, width)
        whole = encode(IMAGE, camera(width=width))
        difference = np.abs(pixels(sent.jpeg).astype(int) - pixels(whole.jpeg))
        assert difference.mean() < 4
    # An Exif header may ask for a turn, so the height counts.
    turned = prepare(read_jpeg(with_orientation(data, 6)), camera(width=100), len(data))
    assert (decoded.pop(), turned.width, turned.height) == (cv2.IMREAD_REDUCED_COLOR_4, 100, 178)


def test_a_huge_jpeg_takes_no_more_memory_than_is_counted() -> None:
    """Whole, 8000 x 8000 pixels take 192 MB."""
    data = jpeg(np.zeros((8000, 8000), np.uint8))
    with memory_of(48):
        sent = prepare(read_jpeg(data), camera(width=640), len(data))
    assert (sent.width, sent.height) == (640, 640)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (of_size(jpeg(IMAGE), 65500, 65500), r"65500 x 65500 pixels: decoding takes 191 MiB of memory, 170 are"),
        (of_size(jpeg(IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 6000, 6000), "decoding takes 207 MiB"),
        (with_orientation(of_size(jpeg(IMAGE), 60000, 60000), 1), "decoding takes 321 MiB"),
    ],
    ids=["baseline", "progressive", "exif"],
)
def test_a_jpeg_that_would_take_too_much_memory_is_not_decoded(
    monkeypatch: pytest.MonkeyPatch, data: bytes, told: str
) -> None:
    monkeypatch.setattr(module, "DECODING", Room(512 * MIB // 3))
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(OversizeImage, match=told):
        prepare(read_jpeg(data), camera(), len(data))


def test_a_jpeg_that_opencv_refuses_has_a_short_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: object, flags: int) -> None:
        raise cv2.error("OpenCV(5.0.0) /io/opencv/modules/imgcodecs/src/loadsave.cpp:79")

    monkeypatch.setattr(cv2, "imdecode", refuse)
    with pytest.raises(CorruptImage, match="do not decode"):
        prepare(read_jpeg(jpeg(IMAGE)), camera(), 10)


@pytest.mark.parametrize("most_bytes", [10, 10**6], ids=["encoded again", "as it came"])
def test_a_frame_is_not_so_high_that_who_decodes_it_runs_out_of_memory(most_bytes: int) -> None:
    data = jpeg(IMAGE[:20, :20])
    assert prepare(read_jpeg(of_size(data, 20, 2560)), camera(width=640), most_bytes).height == 2560
    with pytest.raises(OversizeImage, match="20 x 2561 pixels: higher than 4 times"):
        prepare(read_jpeg(of_size(data, 20, 2561)), camera(width=640), most_bytes)
    with pytest.raises(OversizeImage, match="higher than 4 times"):
        prepare(np.zeros((2561, 20, 3), np.uint8), camera(width=640), most_bytes)


@pytest.mark.parametrize("settings", [{"width": 640}, {"width": 1280}, {"grey": True, "width": 1280}])
def test_pictures_of_every_kind_come_out_as_every_reader_reads_them(settings: dict[str, object]) -> None:
    """Whatever their coding is, they look the same."""
    kinds = {
        "grey": jpeg(cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY)),
        "progressive": jpeg(IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "4:4:4": jpeg(IMAGE, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        "restarts": jpeg(IMAGE, cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    }
    wanted = pixels(encode(IMAGE, camera(**{**settings, "grey": True})).jpeg).astype(int)
    for kind, data in kinds.items():
        sent = prepare(read_jpeg(data), camera(**settings), len(data))
        assert read_jpeg(sent.jpeg).plain, kind
        found = cv2.cvtColor(pixels(sent.jpeg), cv2.COLOR_BGR2GRAY)
        assert np.abs(found - wanted[:, :, 0]).mean() < 3, kind


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 2), (2000, 1), (1, 640), (7, 5)])
@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)], ids=["as it comes", "encoded again"])
@pytest.mark.parametrize("settings", [{}, {"grey": True}, {"masks": [[0, 0, 0.5, 0.5], [0.99, 0.99, 1, 1]]}])
def test_a_picture_of_any_size_is_sent(
    size: tuple[int, int], options: tuple[int, ...], settings: dict[str, object]
) -> None:
    data = jpeg(np.full((size[1], size[0], 3), 90, np.uint8), *options)
    sent = prepare(read_jpeg(data), camera(**settings), len(data))
    assert (sent.width, sent.height) == (min(size[0], camera().width), size[1])
    assert pixels(sent.jpeg).shape == (sent.height, sent.width, 3)
    assert np.abs(pixels(sent.jpeg).astype(int) - 90).max() < 4
