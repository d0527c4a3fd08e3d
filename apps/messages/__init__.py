"""The formats that the pipeline's stages exchange: one frame, one result, where they are kept, and all names.

Every stage names a frame and a result through this package, so that a frame has one identity from the
camera to the disk and every sink can be idempotent.
"""

from apps.messages.frame import Frame, FrameError, frame_from_kafka, frame_headers
from apps.messages.identity import (
    FILE,
    HOUR,
    HOUR_PATTERN,
    MAX_SEQUENCE,
    SEQUENCE_SHIFT,
    first_sequence,
    frame_path,
    hour_of,
    result_id,
    result_path,
)
from apps.messages.names import (
    CONSUMER_GROUP,
    FILEBEAT_GROUP,
    FRAMES_TOPIC,
    IDENTITY_FIELD,
    NAME,
    NAME_PATTERN,
    REJECTED_TOPIC,
    RESULT_INDICES,
    day_of,
    model_group,
    model_of,
    results_index,
    results_topic,
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
    "CONSUMER_GROUP",
    "FILE",
    "FILEBEAT_GROUP",
    "FRAMES_TOPIC",
    "HOUR",
    "HOUR_PATTERN",
    "IDENTITY_FIELD",
    "MAX_SEQUENCE",
    "NAME",
    "NAME_PATTERN",
    "REJECTED_TOPIC",
    "RESULT_INDICES",
    "SEQUENCE_SHIFT",
    "UNREADABLE",
    "Detection",
    "Frame",
    "FrameError",
    "Keypoint",
    "Point",
    "Result",
    "day_of",
    "detection_from_document",
    "first_sequence",
    "format_timestamp",
    "frame_from_kafka",
    "frame_headers",
    "frame_path",
    "hour_of",
    "model_group",
    "model_of",
    "parse_timestamp",
    "result_from_document",
    "result_from_json",
    "result_id",
    "result_path",
    "result_to_json",
    "results_index",
    "results_topic",
]
