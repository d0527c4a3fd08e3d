"""Argus's NumPy code gives the results of Ultralytics' `predict`. Networks and expected values are in tests/models."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from apps.messages import Detection, Frame
from apps.model_api import jpeg
from apps.spark_jobs.models import load_model
from apps.spark_jobs.models.suppression import suppress
from apps.weights import read_weights
from tests.unit.apps.spark_jobs.frames import STARTED
from tests.unit.apps.spark_jobs.models.specs import spec

MODELS = Path(__file__).parents[4] / "models"
EXPECTED: dict[str, Any] = json.loads((MODELS / "expected.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(name, picture, id=f"{name}-{picture}")
    for name, model in EXPECTED["models"].items()
    for picture in model["frames"]
]


@cache
def frame(picture: str) -> Frame:
    data = (MODELS / "frames" / picture).read_bytes()
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return Frame(camera="gate", sequence=1, captured_at=STARTED, width=width, height=height, jpeg=data)


def found(name: str, picture: str) -> tuple[Detection, ...]:
    model = EXPECTED["models"][name]
    size = None
    if model["rect"]:
        # For a network of any size, Ultralytics chooses the least multiple of the stride that fits the frame.
        scale = min(model["imgsz"][1] / frame(picture).width, model["imgsz"][0] / frame(picture).height)
        sides = (round(frame(picture).width * scale), round(frame(picture).height * scale))
        size = "x".join(str(32 * math.ceil(side / 32)) for side in sides)
    threshold = 0.0 if model["task"] == "classify" else EXPECTED["predict"]["conf"]
    return load_model(spec(MODELS / model["path"], size=size, score_threshold=threshold)).detect(frame(picture))


@pytest.fixture(autouse=True)
def whole_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode at full size: Argus decodes large frames at half size, which would give different pixels."""
    monkeypatch.setattr(jpeg, "reduction", lambda size, target: 1)


def test_the_frames_show_something() -> None:
    for name, model in EXPECTED["models"].items():
        seen = [len(shown.get("objects", shown.get("probabilities", ()))) for shown in model["frames"].values()]
        assert all(seen), name
        assert sum(seen) >= 2 * len(seen), name


@pytest.mark.parametrize(("name", "picture"), CASES)
def test_what_ultralytics_finds_argus_finds(name: str, picture: str) -> None:
    shown = EXPECTED["models"][name]["frames"][picture]
    detections = found(name, picture)
    if "probabilities" in shown:
        names = read_weights(MODELS / EXPECTED["models"][name]["path"]).names
        scores = {one.label: one.score for one in detections}
        expected = dict(zip(names, shown["probabilities"], strict=True))
        assert scores == pytest.approx(expected, abs=0.002)
        return
    left = list(detections)
    for one in merged(shown["objects"], EXPECTED["models"][name]):
        near = min(left, key=lambda each: (each.label != one["label"], away(each, one)), default=None)
        assert near is not None, f"nothing for {one}"
        left.remove(near)
        assert near.label == one["label"]
        assert near.score == pytest.approx(one["score"], abs=0.002)
        assert away(near, one) < 0.5, (near, one)
        if "polygon" in one:
            assert shared(near.polygon, one["polygon"], picture) > 0.9
        if "keypoints" in one:
            assert np.abs(np.array(near.keypoints) - np.array(one["keypoints"])).max() < 0.5
        if "xywhr" in one:
            assert near.angle == pytest.approx(one["xywhr"][4], abs=0.01)
    assert left == [], "Argus finds what Ultralytics does not"


def merged(objects: list[dict[str, Any]], model: dict[str, Any]) -> list[dict[str, Any]]:
    """Ultralytics' detections after Argus's stricter merging: boxes of one label that overlap by half, and parts."""
    if "box" not in objects[0] or read_weights(MODELS / model["path"]).output != "anchors":
        return objects
    objects = sorted(objects, key=lambda one: -one["score"])
    boxes = np.array([one["box"] for one in objects], np.float32)
    classes = np.array([one["class"] for one in objects])
    return [objects[index] for index in suppress(boxes, classes, classes)]


def away(one: Detection, expected: dict[str, Any]) -> float:
    """The largest distance between corners (pixels). An oriented box's corners may start at any of the four."""
    if "corners" not in expected:
        return float(np.abs(np.array(one.box) - np.array(expected["box"])).max())
    corners = np.array(expected["corners"])
    return max(float(np.linalg.norm(corners - np.array(point), axis=1).min()) for point in one.polygon)


def shared(one: Any, other: Any, picture: str) -> float:
    """Intersection over union of two outlines."""
    masks = []
    for outline in (one, other):
        mask = np.zeros((frame(picture).height, frame(picture).width), np.uint8)
        cv2.fillPoly(mask, [np.array(outline).round().astype(np.int32)], 1)
        masks.append(mask.astype(bool))
    return float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())
