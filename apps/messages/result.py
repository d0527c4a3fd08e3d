"""A result on a model's results topic: JSON with ECS-style names, indexed by Elasticsearch unchanged."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from apps.messages.frame import check_side
from apps.messages.identity import check_sequence, result_id
from apps.messages.timestamps import format_timestamp, parse_timestamp

Point = tuple[float, float]
Keypoint = tuple[float, float, float]

UNREADABLE = (ValueError, ArithmeticError, AttributeError, RecursionError)
"""What parsing hostile bytes may raise: besides ValueError, for years and numbers out of range and deep nesting."""

LARGEST = 3.4e38
"""The largest float of Elasticsearch, which refuses the whole result for a larger number."""


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One detection of a model: `score` in 0..1, coordinates in the frame's pixels.

    `box` is x1, y1, x2, y2: the whole frame for a classifier, the bounding box of an oriented box. `polygon` is a
    segment's outline or an oriented box's four corners; `angle` is the latter's rotation in radians, clockwise from the
    x axis. A keypoint is x, y and its confidence in 0..1. What a model does not give is empty or None.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    polygon: tuple[Point, ...] = ()
    keypoints: tuple[Keypoint, ...] = ()
    angle: float | None = None

    @cached_property
    def document(self) -> dict[str, Any]:
        """The detection as JSON, computed once, without the parts that the model did not give."""
        document: dict[str, Any] = {
            "label": self.label,
            "score": round(self.score, 4),
            "box": [round(edge, 1) for edge in self.box],
        }
        if self.polygon:
            document["polygon"] = [[round(x, 1), round(y, 1)] for x, y in self.polygon]
        if self.keypoints:
            document["keypoints"] = [[round(x, 1), round(y, 1), round(score, 3)] for x, y, score in self.keypoints]
        if self.angle is not None:
            document["angle"] = round(self.angle, 4)
        return document


STILL = "still"
"""The reason to skip a frame in which nothing moved."""

OVERLOAD = "overload"
"""The reason to skip a frame because the model is behind; its result has no detections."""


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Why the model did not look at a frame, and the sequence of the frame that its detections are from (None: none).

    A reader must accept reasons other than STILL and OVERLOAD: later versions may have more.
    """

    reason: str
    carried_from: int | None

    @property
    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        document: dict[str, Any] = {"skipped": self.reason}
        if self.carried_from is not None:
            document["carried_from"] = self.carried_from
        return document


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model's detections in one frame, without the image. `skipped` is None where the model looked at the frame."""

    camera: str
    sequence: int
    captured_at: datetime
    width: int
    height: int
    model: str
    model_version: str
    processed_at: datetime
    detections: tuple[Detection, ...]
    skipped: Skipped | None = None

    @property
    def id(self) -> str:
        """The result's identity: frame + model."""
        return result_id(self.camera, self.sequence, self.model)


def result_to_json(result: Result) -> bytes:
    """The record value of a result: compact UTF-8 JSON."""
    document: dict[str, Any] = {
        "@timestamp": format_timestamp(result.captured_at),
        "event": {"id": result.id, "created": format_timestamp(result.processed_at)},
        "camera": {"name": result.camera},
        "frame": {"sequence": result.sequence, "width": result.width, "height": result.height},
        "model": {"name": result.model, "version": result.model_version},
        "detections": [found.document for found in result.detections],
    }
    if result.skipped is not None:
        document["inference"] = result.skipped.document
    return json.dumps(document, separators=(",", ":")).encode()


def detection_from_document(found: dict[str, Any]) -> Detection:
    """Parse a `Detection.document`. Raises KeyError, TypeError or ValueError for anything else.

    Unknown parts are ignored, so that an older reader accepts a newer writer's results.
    """
    angle = found.get("angle")
    x1, y1, x2, y2 = _numbers(found["box"])
    return Detection(
        label=_text(found["label"]),
        score=_number(found["score"]),
        box=(x1, y1, x2, y2),
        polygon=_polygon(found.get("polygon", ())),
        keypoints=tuple(_keypoint(one) for one in found.get("keypoints", ())),
        angle=None if angle is None else _number(angle),
    )


def result_from_json(value: bytes | str) -> Result:
    """Parse what `result_to_json` wrote. Raises ValueError, with the reason, for anything else."""
    try:
        return result_from_document(json.loads(value))
    except RecursionError as endless:
        raise ValueError(f"not a result: {endless}") from endless


def result_from_document(document: dict[str, Any]) -> Result:
    """Parse an indexed document. Raises ValueError, with the reason, for anything else."""
    try:
        return Result(
            camera=_text(document["camera"]["name"]),
            sequence=check_sequence(int(document["frame"]["sequence"])),
            captured_at=parse_timestamp(document["@timestamp"]),
            width=check_side(int(document["frame"]["width"])),
            height=check_side(int(document["frame"]["height"])),
            model=_text(document["model"]["name"]),
            model_version=_text(document["model"]["version"]),
            processed_at=parse_timestamp(document["event"]["created"]),
            detections=tuple(detection_from_document(found) for found in document["detections"]),
            skipped=_skipped(document.get("inference")),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as malformed:
        raise ValueError(f"not a result: {type(malformed).__name__} {malformed}") from malformed


def _skipped(inference: dict[str, Any] | None) -> Skipped | None:
    if inference is None:
        return None
    carried_from = inference.get("carried_from")
    if carried_from is not None:
        carried_from = check_sequence(int(carried_from))
    return Skipped(reason=_text(inference["skipped"]), carried_from=carried_from)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    # Refuses lone surrogates, which JSON can escape but UTF-8, and so an answer to a browser, cannot contain.
    value.encode()
    return value


def _number(value: object) -> float:
    # `float` would also accept "1", true and NaN, which cannot be drawn or searched.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise ValueError(f"{value!r} is no finite number")
    return float(value)


def _numbers(values: Sequence[object]) -> list[float]:
    return [_number(value) for value in values]


def _polygon(points: Sequence[Sequence[object]]) -> tuple[Point, ...]:
    corners = tuple((x, y) for x, y in map(_numbers, points))
    if 0 < len(corners) < 3:
        raise ValueError(f"a polygon of {len(corners)} points")
    return corners


def _keypoint(values: Sequence[object]) -> Keypoint:
    x, y, score = _numbers(values)
    return x, y, score
