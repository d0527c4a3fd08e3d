"""MJPEG as cameras really send it, taken apart whatever the sizes are in which it arrives."""

import random
from collections.abc import Callable

import cv2
import pytest

from apps.producer.sources import CorruptImage, OversizeImage
from apps.producer.sources.parts import Parts
from apps.scenes import render

PICTURES = [cv2.imencode(".jpg", render("unit", number, 96, 54))[1].tobytes() for number in range(4)]
PROGRESSIVE = cv2.imencode(".jpg", render("unit", 5, 96, 54), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
SMALLEST = cv2.imencode(".jpg", render("unit", 6, 96, 54)[:1, :1])[1].tobytes()
LIMIT = 20_000
TYPE = b"Content-Type: image/jpeg\r\n"

Part = Callable[[bytes], bytes]


def part(
    boundary: bytes = b"--frame",
    length: Callable[[int], bytes] | None = lambda size: b"%d" % size,
    end: bytes = b"\r\n",
    tail: bytes = b"",
    header: bytes = TYPE,
) -> Part:
    """How a camera sends one picture, by default as it should."""

    def made(picture: bytes) -> bytes:
        given = b"" if length is None else b"Content-Length: " + length(len(picture + tail)) + b"\r\n"
        return (boundary + b"\r\n" + header + given + b"\r\n").replace(b"\r\n", end or b"\r\n") + picture + tail + end

    return made


def with_thumbnail(picture: bytes) -> bytes:
    body = b"Exif\0\0" + PICTURES[3]
    return picture[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + picture[2:]


def behind(picture: bytes) -> bytes:
    return picture + b"\r\n--frame\r\n"


CAMERAS: dict[str, tuple[str | None, Part]] = {
    "as it should be": ("frame", part()),
    "no length": ("frame", part(length=None)),
    "negative length": ("frame", part(length=lambda _: b"-1")),
    "length of zero": ("frame", part(length=lambda _: b"0")),
    "length too small": ("frame", part(length=lambda size: b"%d" % (size - 16))),
    "length too large": ("frame", part(length=lambda size: b"%d" % (size + 700))),
    "length beyond all bounds": ("frame", part(length=lambda size: b"9" * 30)),
    "length counts the line end": ("frame", part(length=lambda size: b"%d" % (size + 2))),
    "length with a unit": ("frame", part(length=lambda size: b"%d bytes" % size)),
    "length that is no number": ("frame", part(length=lambda _: b"unknown")),
    "line feeds alone": ("frame", part(end=b"\n")),
    "no line end before the boundary": ("frame", part(length=None, end=b"")),
    "a length and no line end before the boundary": ("frame", lambda each: part()(each).removesuffix(b"\r\n")),
    "zeros behind the picture": ("frame", part(tail=b"\0" * 513)),
    "noise behind the picture": ("frame", part(length=None, tail=random.Random(7).randbytes(3000))),
    "an end marker behind the picture": ("frame", part(tail=b"\0\xff\xd9\0")),
    "another picture behind the picture": ("frame", part(tail=PICTURES[3])),
    "declared with dashes, sent with two": ("--frame", part()),
    "declared with dashes, sent with four": ("--frame", part(boundary=b"----frame")),
    "sent without dashes": ("frame", part(boundary=b"frame")),
    "another boundary": ("frame", part(boundary=b"--myboundary")),
    "another boundary without dashes": ("frame", part(boundary=b"myboundary")),
    "no boundary declared": (None, part()),
    "a boundary of one sign": ("x", part(boundary=b"--x")),
    "a boundary with spaces behind": ("frame", part(boundary=b"--frame  ")),
    "a boundary behind each picture": ("frame", lambda each: TYPE + b"\r\n" + behind(each)),
    "pictures and nothing else": (None, lambda each: each),
    "pictures and noise": (None, lambda each: b"\0\1\2" * 9000 + each),
    "no headers": ("frame", part(header=b"", length=None)),
    "another type": ("frame", part(header=b"Content-Type: application/octet-stream\r\n")),
    "an empty line more": ("frame", part(header=TYPE + b"Content-Length: 9\r\n\r\n", length=None)),
    "texts between": ("frame", lambda each: part()(each) + b"--frame\r\nContent-Type: text/plain\r\n\r\nmoved\r\n"),
    "empty parts between": ("frame", lambda each: part()(each) + b"--frame\r\n" + TYPE + b"\r\n\r\n"),
    "closing boundaries between": ("frame", lambda each: part()(each) + b"--frame--\r\n"),
    "thumbnails in the pictures": ("frame", lambda each: part()(with_thumbnail(each))),
}


def taken(camera: Parts, data: bytes, sizes: Callable[[], int]) -> list[bytes | str]:
    """The pictures found and the names of the errors, where `data` arrive in pieces of `sizes`."""
    found: list[bytes | str] = []
    position = 0
    while position < len(data):
        size = sizes()
        camera.feed(data[position : position + size])
        position += size
        while True:
            try:
                picture = camera.take()
            except (CorruptImage, OversizeImage) as bad:
                found.append(type(bad).__name__)
                continue
            if picture is None:
                break
            found.append(picture)
    return found


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("size", [1, 3, 1000, 10**6])
def test_every_picture_is_found(name: str, size: int) -> None:
    declared, sent = CAMERAS[name]
    pictures = [PICTURES[0], PROGRESSIVE, PICTURES[1], SMALLEST, PICTURES[2]]
    expected = [with_thumbnail(each) for each in pictures] if "thumbnails" in name else pictures
    assert taken(Parts(declared, LIMIT), b"".join(map(sent, pictures)), lambda: size) == expected


def test_a_picture_is_found_when_its_last_byte_comes() -> None:
    """Not when the next one begins, which a slow camera sends much later."""
    for name, (declared, sent) in CAMERAS.items():
        if "tail" in name or "behind" in name:
            continue
        first = sent(PICTURES[0])
        whole = with_thumbnail(PICTURES[0]) if "thumbnails" in name else PICTURES[0]
        end = first.index(whole) + len(whole)
        assert taken(Parts(declared, LIMIT), first[:end], lambda: 10**6) == [whole], name


HALF = PICTURES[3][: len(PICTURES[3]) // 2]
IN_THE_HEADER = PICTURES[3][:100]
BAD = {
    "half a picture": (HALF, "CorruptImage"),
    "a picture without its end": (PICTURES[3][:-2], "CorruptImage"),
    "part of a header": (IN_THE_HEADER, "CorruptImage"),
    "a broken header": (PICTURES[3][:4] + b"\0\0" + PICTURES[3][6:], "CorruptImage"),
    "a text that is called a picture": (b"no picture", "CorruptImage"),
    "zeros without end": (b"\0" * (3 * LIMIT), "OversizeImage"),
    "lines without end": (b"\n\1" * (2 * LIMIT), "OversizeImage"),
    "a picture that is too large": (PICTURES[3][:-2] + b"\0" * LIMIT + b"\xff\xd9", "OversizeImage"),
    "a picture that does not end": (PICTURES[3][:-2] + b"\0" * 3 * LIMIT, "OversizeImage"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("size", [61, 997, 10**6])
@pytest.mark.parametrize(
    "way", ["as it should be", "no length", "no line end before the boundary", "a boundary of one sign"]
)
def test_a_bad_part_is_counted_once_and_costs_no_other(bad: str, size: int, way: str) -> None:
    declared, sent = CAMERAS[way]
    data, error = BAD[bad]
    stream = b"".join(map(sent, [PICTURES[0], data, PICTURES[1], PICTURES[2]]))
    found = taken(Parts(declared, LIMIT), stream, lambda: size)
    assert found[0] == PICTURES[0] and found[-1] == PICTURES[2]
    assert found[1] == error and found.count(error) == 1
    if bad != "part of a header":
        # The length of a segment may reach into the next picture.
        assert found == [PICTURES[0], error, PICTURES[1], PICTURES[2]]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_picture_among_pictures_without_boundaries(bad: str) -> None:
    data, _ = BAD[bad]
    found = taken(Parts(None, LIMIT), PICTURES[0] + data + PICTURES[1] + PICTURES[2] * 2, lambda: 1000)
    assert found[0] == PICTURES[0] and found[-1] == PICTURES[2]


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_ends_and_memory_stays_bounded(seed: int) -> None:
    generator = random.Random(seed)
    declared, sent = generator.choice(list(CAMERAS.values()))
    data = bytearray(b"".join(map(sent, PICTURES * 6)))
    for _ in range(generator.randrange(60)):
        at = generator.randrange(len(data))
        data[at : at + generator.randrange(3)] = generator.randbytes(generator.randrange(3))
    camera, size = Parts(declared, LIMIT), 1000
    for start in range(0, len(data), size):
        taken(camera, bytes(data[start : start + size]), lambda: size)
        assert len(camera._data) <= LIMIT + size
    # The stream goes on as it should, and is understood again.
    assert taken(camera, b"".join(map(sent, PICTURES * 3)), lambda: size)[-4:]
