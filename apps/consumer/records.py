"""Turns one Kafka record into a file (path and bytes), or refuses it with a reason."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

from apps.messages import UNREADABLE, FrameError, frame_from_kafka, frame_path, hour_of, result_from_json, result_path
from apps.messages.frame import CLOCK_TOLERANCE
from apps.messages.names import NAME

JPEG_START = b"\xff\xd8"

Kind = Literal["frame", "result"]
Headers = list[tuple[str, bytes | None]]


class RejectedError(ValueError):
    """The record cannot be stored. `reason` is a metric's label, the message is for the log."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file to write: `path` is camera/hour/name, relative to the root."""

    kind: Kind
    path: PurePosixPath
    captured_at: datetime
    data: bytes

    @property
    def hour(self) -> str:
        """The name of its hour directory."""
        return hour_of(self.captured_at)


def frame_file(
    key: bytes | None,
    value: bytes | None,
    headers: Headers | None,
    now: datetime,
    taken_at: datetime | None = None,
) -> StoredFile:
    """The file for a record of the frames topic, its JPEG unchanged and not decoded. Raises RejectedError.

    `taken_at` is the time at which Kafka took it, which bounds its capture time. Where that is not known, a capture
    time too far ahead of `now` is refused.
    """
    try:
        frame = frame_from_kafka(key, value, headers, taken_at)
    except FrameError as error:
        raise RejectedError(error.reason, str(error)) from error
    if taken_at is None:
        _check_time(frame.camera, frame.sequence, frame.captured_at, now)
    if not frame.jpeg.startswith(JPEG_START):
        raise RejectedError("not_jpeg", f"frame {frame.camera}/{frame.sequence} does not start as a JPEG does")
    return StoredFile(
        kind="frame",
        path=frame_path(frame.camera, frame.captured_at, frame.sequence),
        captured_at=frame.captured_at,
        data=frame.jpeg,
    )


def result_file(value: bytes | None, now: datetime, taken_at: datetime | None = None) -> StoredFile:
    """The file for a record of a results topic. Raises RejectedError.

    Its time is that of its frame, bounded where the model read it. So it is not refused for its time where `taken_at`,
    the time at which Kafka took it, is known: this machine's clock may be the wrong one.
    """
    if not value:
        raise RejectedError("malformed", "the record has no value, so no result")
    try:
        result = result_from_json(value)
    except UNREADABLE as error:
        raise RejectedError("malformed", str(error)) from error
    _check_name("camera", result.camera)
    _check_name("model", result.model)
    if taken_at is None:
        _check_time(result.camera, result.sequence, result.captured_at, now)
    return StoredFile(
        kind="result",
        path=result_path(result.camera, result.captured_at, result.sequence, result.model),
        captured_at=result.captured_at,
        data=value,
    )


def _check_time(camera: str, sequence: int, captured_at: datetime, now: datetime) -> None:
    if captured_at.astimezone(UTC) > now + CLOCK_TOLERANCE:
        raise RejectedError("future", f"frame {camera}/{sequence} claims to be of {captured_at}, ahead of the clock")


def _check_name(what: str, name: str) -> None:
    # The name becomes part of a path, and these characters cannot escape its directory.
    if not NAME.fullmatch(name):
        raise RejectedError("name", f"the {what} name {name[:100]!r} is not of the form {NAME.pattern}")
