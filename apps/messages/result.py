"""A result on a model's results topic: JSON with ECS-style names, indexed by Elasticsearch as it is."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.messages.identity import result_id
from apps.messages.timestamps import format_timestamp, parse_timestamp

Point = tuple[float, float]
Keypoint = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One thing that a model saw: `score` in 0..1, everything else in the frame's pixels.

    `box` is x1, y1, x2, y2: the whole frame where a model classifies it, the upright box around an oriented one.
    `polygon` is a segment's outline or an oriented box's four corners; `angle` is the latter's turn, in radians,
    clockwise from the x axis. A keypoint is x, y and its confidence in 0..1. What a model does not give is empty.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    polygon: tuple[Point, ...] = ()
    keypoints: tuple[Keypoint, ...] = ()
    angle: float | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one model says of one frame. It does not hold the image."""

    camera: str
    sequence: int
    captured_at: datetime
    width: int
    height: int
    model: str
    model_version: str
    processed_at: datetime
    detections: tuple[Detection, ...]

    @property
    def id(self) -> str:
        """The result's identity, frame + model."""
        return result_id(self.camera, self.sequence, self.model)


def result_to_json(result: Result) -> bytes:
    """The record value of a result, compact UTF-8 JSON."""
    document = {
        "@timestamp": format_timestamp(result.captured_at),
        "event": {"id": result.id, "created": format_timestamp(result.processed_at)},
        "camera": {"name": result.camera},
        "frame": {"sequence": result.sequence, "width": result.width, "height": result.height},
        "model": {"name": result.model, "version": result.model_version},
        "detections": [detection_to_document(found) for found in result.detections],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def detection_to_document(found: Detection) -> dict[str, Any]:
    """A detection as results carry it: parts that the model did not give are left out."""
    document: dict[str, Any] = {
        "label": found.label,
        "score": round(found.score, 4),
        "box": [round(edge, 1) for edge in found.box],
    }
    if found.polygon:
        document["polygon"] = [[round(x, 1), round(y, 1)] for x, y in found.polygon]
    if found.keypoints:
        document["keypoints"] = [[round(x, 1), round(y, 1), round(score, 3)] for x, y, score in found.keypoints]
    if found.angle is not None:
        document["angle"] = round(found.angle, 4)
    return document


def detection_from_document(found: dict[str, Any]) -> Detection:
    """The detection of `detection_to_document`. Raises KeyError, TypeError or ValueError for anything else."""
    angle = found.get("angle")
    return Detection(
        label=found["label"],
        score=float(found["score"]),
        box=_box(found["box"]),
        polygon=tuple((float(x), float(y)) for x, y in found.get("polygon", ())),
        keypoints=tuple((float(x), float(y), float(score)) for x, y, score in found.get("keypoints", ())),
        angle=None if angle is None else float(angle),
    )


def result_from_json(value: bytes | str) -> Result:
    """The result that `result_to_json` wrote. Raises ValueError, with the reason, for anything else."""
    try:
        document: dict[str, Any] = json.loads(value)
        return Result(
            camera=document["camera"]["name"],
            sequence=int(document["frame"]["sequence"]),
            captured_at=parse_timestamp(document["@timestamp"]),
            width=int(document["frame"]["width"]),
            height=int(document["frame"]["height"]),
            model=document["model"]["name"],
            model_version=document["model"]["version"],
            processed_at=parse_timestamp(document["event"]["created"]),
            detections=tuple(detection_from_document(found) for found in document["detections"]),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as malformed:
        raise ValueError(f"not a result: {type(malformed).__name__} {malformed}") from malformed


def _box(edges: list[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(edge) for edge in edges)
    return x1, y1, x2, y2
