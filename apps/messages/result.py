"""A result on a model's results topic: JSON with ECS-style names, indexed by Elasticsearch as it is."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.messages.identity import result_id
from apps.messages.timestamps import format_timestamp, parse_timestamp


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One thing that a model saw: `score` in 0..1, `box` as x1, y1, x2, y2 in the frame's pixels."""

    label: str
    score: float
    box: tuple[float, float, float, float]


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
        "detections": [
            {"label": found.label, "score": round(found.score, 4), "box": [round(edge, 1) for edge in found.box]}
            for found in result.detections
        ],
    }
    return json.dumps(document, separators=(",", ":")).encode()


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
            detections=tuple(
                Detection(label=found["label"], score=float(found["score"]), box=_box(found["box"]))
                for found in document["detections"]
            ),
        )
    except (KeyError, TypeError, OverflowError, RecursionError) as malformed:
        raise ValueError(f"not a result: {type(malformed).__name__} {malformed}") from malformed


def _box(edges: list[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(edge) for edge in edges)
    return x1, y1, x2, y2
