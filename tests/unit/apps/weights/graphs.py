"""Small graphs that give fixed outputs for any input, in place of trained weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

ULTRALYTICS: dict[str, Any] = {"task": "detect", "imgsz": [64, 96], "names": {0: "person", 1: "car"}, "stride": 32}


def graph(answers: Sequence[np.ndarray], shape: Sequence[int] = (1, 3, 64, 96), dtype: type = np.float32) -> ov.Model:
    """A graph of this input shape (-1: any) whose outputs are `answers`, with the input's batch size."""
    image = op.parameter(list(shape), dtype, name="images")
    # Zero, but computed from the picture, so that constant folding removes nothing.
    nothing = op.multiply(
        op.reduce_max(op.convert(image, "f32"), op.constant(np.array([1, 2, 3], np.int64)), keep_dims=False),
        op.constant(np.float32(0)),
    )
    results = []
    for place, answer in enumerate(answers):
        sides = op.constant(np.array([-1] + [1] * answer.ndim, np.int64))
        added = op.add(op.reshape(nothing, sides, special_zero=False), op.constant(answer[None].astype(np.float32)))
        added.output(0).set_names({f"output{place}"})
        results.append(op.result(added))
    return ov.Model(results, [image], "test")


def folder(place: Path, network: ov.Model, metadata: dict[str, Any] | None = ULTRALYTICS) -> Path:
    """An export's folder with the graph, and a metadata.yaml if there are metadata."""
    place.mkdir(parents=True, exist_ok=True)
    ov.save_model(network, place / "model.xml", compress_to_fp16=False)
    if metadata is not None:
        (place / "metadata.yaml").write_text(json.dumps(metadata), encoding="utf-8")
    return place


def rows(*answer: Sequence[float]) -> np.ndarray:
    """An output with one row per object."""
    return np.array(answer, np.float32)


def anchors(*answer: Sequence[float]) -> np.ndarray:
    """An output with one column per anchor."""
    return np.array(answer, np.float32).T
