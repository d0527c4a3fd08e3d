"""The formats that the pipeline's stages exchange: a frame, a result, and where they are kept. names.py has all names.

Every stage names a frame and a result through this package, so that a frame has one identity from the
camera to the disk and every sink can be idempotent.
"""

from apps.messages.frame import Frame, FrameError, frame_from_kafka, frame_headers
from apps.messages.identity import (
    SEQUENCE_SHIFT,
    first_sequence,
    frame_path,
    hour_of,
    result_id,
    result_path,
)
from apps.messages.result import (
    UNREADABLE,
    Detection,
    Keypoint,
    Point,
    Result,
    detection_from_document,
    result_from_document,
    result_from_json,
    result_to_json,
)
from apps.messages.timestamps import format_timestamp, parse_timestamp

__all__ = [
    "SEQUENCE_SHIFT",
    "UNREADABLE",
    "Detection",
    "Frame",
    "FrameError",
    "Keypoint",
    "Point",
    "Result",
    "detection_from_document",
    "first_sequence",
    "format_timestamp",
    "frame_from_kafka",
    "frame_headers",
    "frame_path",
    "hour_of",
    "parse_timestamp",
    "result_from_document",
    "result_from_json",
    "result_id",
    "result_path",
    "result_to_json",
]
