"""The formats that the stages exchange: frames, results, their paths on disk, and all names (names.py).

Every stage identifies frames and results through this package, so that a frame has one identity from camera to disk and
every sink can be idempotent.
"""

from apps.messages.frame import Frame, FrameError, frame_from_kafka, frame_headers
from apps.messages.identity import (
    SEQUENCE_SHIFT,
    first_sequence,
    follows,
    frame_path,
    hour_of,
    result_id,
    result_path,
)
from apps.messages.result import (
    OVERLOAD,
    STILL,
    UNREADABLE,
    Detection,
    Keypoint,
    Point,
    Result,
    Skipped,
    detection_from_document,
    result_from_document,
    result_from_json,
    result_to_json,
)
from apps.messages.timestamps import format_timestamp, from_milliseconds, parse_timestamp, taken_by_kafka

__all__ = [
    "OVERLOAD",
    "SEQUENCE_SHIFT",
    "STILL",
    "UNREADABLE",
    "Detection",
    "Frame",
    "FrameError",
    "Keypoint",
    "Point",
    "Result",
    "Skipped",
    "detection_from_document",
    "first_sequence",
    "follows",
    "format_timestamp",
    "frame_from_kafka",
    "frame_headers",
    "frame_path",
    "from_milliseconds",
    "hour_of",
    "parse_timestamp",
    "result_from_document",
    "result_from_json",
    "result_id",
    "result_path",
    "result_to_json",
    "taken_by_kafka",
]
