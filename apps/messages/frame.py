"""A frame on the frames topic: the key is the camera, the value is the JPEG, all else are headers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.messages.identity import check_sequence
from apps.messages.names import NAME
from apps.messages.timestamps import format_timestamp, parse_timestamp

Headers = list[tuple[str, bytes]]

CLOCK_TOLERANCE = timedelta(hours=1)
"""A capture time further than this from the time at which Kafka took the frame is of a clock that is wrong."""

MAX_SIDE = 65_535
"""The most pixels in a row or column of a JPEG."""

_SHOWN = 100
"""The most characters of a record that an error's message shows."""


class FrameError(ValueError):
    """The record is not a frame; the message says what is missing or malformed."""

    reason = "malformed"
    """The kind of fault, for metrics."""


class CameraNameError(FrameError):
    """The record's key is not the name of a camera."""

    reason = "name"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One JPEG with its identity. `width` and `height` are in pixels."""

    camera: str
    sequence: int
    captured_at: datetime
    width: int
    height: int
    jpeg: bytes


def frame_headers(frame: Frame) -> Headers:
    """The record headers of a frame, all in ASCII."""
    return [
        ("sequence", str(frame.sequence).encode()),
        ("captured_at", format_timestamp(frame.captured_at).encode()),
        ("width", str(frame.width).encode()),
        ("height", str(frame.height).encode()),
    ]


def frame_from_kafka(
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes | None]] | None,
    taken_at: datetime | None = None,
) -> Frame:
    """The frame in a record. Raises FrameError if there is none; the JPEG is not decoded.

    `taken_at` is the time at which Kafka took the record, by the broker's clock (None: not known). It replaces a
    capture time that is further than CLOCK_TOLERANCE from it, so that a camera whose producer has a wrong clock loses
    no frame to retention, and no frame is kept for years. Every reader of a record gets the same time.
    """
    if not key:
        raise FrameError("the record has no key, so no camera")
    if not value:
        raise FrameError("the record has no value, so no image")
    found = {name: data for name, data in headers or () if data is not None}
    try:
        return Frame(
            camera=_camera(key),
            sequence=check_sequence(int(found["sequence"])),
            captured_at=_bounded(parse_timestamp(found["captured_at"].decode()), taken_at),
            width=check_side(int(found["width"])),
            height=check_side(int(found["height"])),
            jpeg=value,
        )
    except FrameError:
        raise
    except KeyError as missing:
        raise FrameError(f"the record has no header {missing}") from missing
    except (ValueError, OverflowError) as malformed:
        raise FrameError(f"the record has a malformed key or header: {str(malformed)[:_SHOWN]}") from malformed


def check_side(pixels: int) -> int:
    """The same width or height. Raises ValueError if no JPEG can have it."""
    if not 0 < pixels <= MAX_SIDE:
        raise ValueError(f"a width or height is not between 1 and {MAX_SIDE}")
    return pixels


def _camera(key: bytes) -> str:
    name = key.decode()
    if not NAME.fullmatch(name):
        raise CameraNameError(f"the camera name {name[:_SHOWN]!r} is not of the form {NAME.pattern}")
    return name


def _bounded(captured_at: datetime, taken_at: datetime | None) -> datetime:
    if taken_at is None or abs(captured_at - taken_at) <= CLOCK_TOLERANCE:
        return captured_at
    return taken_at
