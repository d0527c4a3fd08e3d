"""A frame on the frames topic: the key is the camera, the value is the JPEG, all else are headers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from apps.messages.timestamps import format_timestamp, parse_timestamp

Headers = list[tuple[str, bytes]]


class FrameError(ValueError):
    """The record is not a frame; the message says what is missing or malformed."""


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
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None
) -> Frame:
    """The frame in a record. Raises FrameError if there is none; the JPEG is not decoded."""
    if not key:
        raise FrameError("the record has no key, so no camera")
    if not value:
        raise FrameError("the record has no value, so no image")
    found = {name: data for name, data in headers or () if data is not None}
    try:
        return Frame(
            camera=key.decode(),
            sequence=int(found["sequence"]),
            captured_at=parse_timestamp(found["captured_at"].decode()),
            width=int(found["width"]),
            height=int(found["height"]),
            jpeg=value,
        )
    except KeyError as missing:
        raise FrameError(f"the record has no header {missing}") from missing
    except ValueError as malformed:
        raise FrameError(f"the record has a malformed key or header: {malformed}") from malformed
