import cv2
import numpy as np
import pytest

from apps.producer.jpeg import read_jpeg
from apps.scenes import render

IMAGE = render("unit", 1, 320, 180)
DATA = cv2.imencode(".jpg", IMAGE)[1].tobytes()
SCAN = DATA.index(b"\xff\xda")
FRAME = DATA.index(b"\xff\xc0")


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def without_huffman_tables(data: bytes) -> bytes:
    """As some cameras send Motion JPEG: readers are expected to know the standard tables."""
    while (at := data.find(b"\xff\xc4", 0, data.index(b"\xff\xda"))) >= 0:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        data = data[:at] + data[at + 2 + length :]
    return data


def test_a_colour_and_a_grey_jpeg() -> None:
    colour = read_jpeg(DATA)
    assert (colour.data, colour.width, colour.height, colour.grey, colour.plain) == (DATA, 320, 180, False, True)
    grey = read_jpeg(cv2.imencode(".jpg", cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY))[1].tobytes())
    assert (grey.grey, grey.plain) == (True, True)


@pytest.mark.parametrize("tail", [b"\r\n", b"\0" * 60])
def test_what_follows_the_end_is_left_out(tail: bytes) -> None:
    assert read_jpeg(DATA + tail).data == DATA


@pytest.mark.parametrize(
    "extra",
    [
        segment(0xFE, b"a comment of the camera's"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        b"\xff\xff" + segment(0xE5, b"\xff\xd9 and \xff\xda within a segment")[1:],
    ],
)
def test_other_segments_are_passed_over(extra: bytes) -> None:
    jpeg = read_jpeg(DATA[:2] + extra + DATA[2:])
    assert (jpeg.width, jpeg.height, jpeg.plain) == (320, 180, True)


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ("progressive", cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()),
        ("twelve bits", DATA[: FRAME + 4] + b"\x0c" + DATA[FRAME + 5 :]),
        ("four colours", DATA[: FRAME + 9] + b"\x04" + DATA[FRAME + 10 :]),
        ("arithmetic coding", DATA[: FRAME + 1] + b"\xc9" + DATA[FRAME + 2 :]),
        ("no Huffman tables", without_huffman_tables(DATA)),
        ("Exif", DATA[:2] + segment(0xE1, b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0") + DATA[2:]),
    ],
)
def test_what_some_readers_cannot_read_is_not_plain(change: str, data: bytes) -> None:
    assert not read_jpeg(data).plain


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no whole JPEG"),
        (b"no jpeg", "no whole JPEG"),
        (DATA[: len(DATA) // 2], "no whole JPEG"),
        (DATA + b"\0" * 100, "no whole JPEG"),
        (b"\xff\xd8\xff\xd9", "corrupt header"),
        (DATA[: FRAME + 2] + b"\xff\xff" + DATA[FRAME + 4 :], "corrupt header"),
        (DATA[:FRAME] + DATA[FRAME + 19 :], "gives no size"),
        (DATA[: FRAME + 5] + b"\0\0\0\0" + DATA[FRAME + 9 :], "without pixels"),
        (DATA[:SCAN] + b"\xff\xd9", "corrupt header"),
    ],
)
def test_a_broken_jpeg_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_jpeg(data)


def test_any_damage_to_the_header_is_a_reason_or_a_jpeg() -> None:
    generator = np.random.default_rng(7)
    for _ in range(2000):
        damaged = bytearray(DATA)
        damaged[generator.integers(2, SCAN + 12)] = generator.integers(256)
        try:
            jpeg = read_jpeg(bytes(damaged))
        except ValueError:
            continue
        assert jpeg.width > 0 and jpeg.height > 0
