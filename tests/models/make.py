"""Makes the test models: draws pictures, trains on them, exports, and writes down what Ultralytics finds.

    pip install --require-hashes -r tests/models/requirements.lock
    python -m tests.models.make OUT [--only TASK]

`OUT` keeps datasets, runs and checkpoints (some hundred megabytes); what tests read goes beside this file. A training
that is already in `OUT` is not repeated. Nothing is downloaded.
"""

import argparse
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["YOLO_OFFLINE"] = "true"

import cv2
import numpy as np
import openvino
from ultralytics import YOLO
from ultralytics.engine.results import Results

from tests.models.drawing import KINDS, Kind, draw
from tests.models.training import RECIPES, SIZE, train

HERE = Path(__file__).parent
CONFIDENCE, OVERLAP, MOST = 0.25, 0.5, 300
WIDE = [96, 160]
"""Height and width of the exports that are not square."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """One export: its training, format, and arguments of `yolo export`."""

    recipe: str
    format: str = "openvino"
    size: int | list[int] = SIZE
    half: bool = True
    words: dict[str, Any] = field(default_factory=dict)


EXPORTS = {
    "detect-anchors": Export(recipe="detect11"),
    "detect-end2end": Export(recipe="detect26", size=WIDE, words={"nms": False}),
    "segment": Export(recipe="segment26"),
    "segment-end2end": Export(recipe="segment26", words={"nms": False}),
    "pose": Export(recipe="pose26"),
    "pose-end2end": Export(recipe="pose26", words={"nms": False}),
    "obb": Export(recipe="obb26"),
    "obb-end2end": Export(recipe="obb26", words={"nms": False}),
    "classify": Export(recipe="classify11"),
    "rtdetr": Export(recipe="rtdetr"),
    "detect-grey": Export(recipe="grey11"),
    "detect-batch4": Export(recipe="detect11", words={"batch": 4}),
    "detect-nms": Export(recipe="detect11", words={"nms": True}),
    "detect-dynamic": Export(recipe="detect11", words={"dynamic": True}),
    "detect-onnx": Export(recipe="detect11", format="onnx", half=False),
    "segment-onnx": Export(recipe="segment26", format="onnx", half=False),
}

FRAMES: dict[str, tuple[int, int, tuple[Kind, ...], int]] = {
    "wide-1": (320, 180, KINDS, 101),
    "wide-2": (320, 180, KINDS, 102),
    "large": (640, 360, KINDS, 215),
    "tall": (240, 320, KINDS, 201),
    "square": (128, 128, KINDS, 205),
    "balls": (320, 180, ("ball",), 106),
    "figures": (320, 180, ("figure",), 107),
}
"""Name: width, height, the kinds drawn, seed. `square` is as large as the models' input, so nothing resizes it."""


def write_frames(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Draw the frames into `folder`. Returns the kind and box of all things in each."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for name, (width, height, kinds, seed) in FRAMES.items():
        picture, things = draw(np.random.default_rng(seed), width, height, kinds, least=4, most=6)
        file = folder / f"{name}.jpg"
        file.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes())
        truth[file.name] = [{"kind": thing.kind, "box": _rounded(thing.box)} for thing in things]
    return truth


def exported(name: str) -> Path:
    """The path of the export `name`: a folder or an ONNX file."""
    return HERE / (f"{name}.onnx" if EXPORTS[name].format == "onnx" else name)


def export(name: str, scratch: Path) -> Path:
    """Train if necessary and export `name` beside this file. Returns the folder or the ONNX file."""
    wanted = EXPORTS[name]
    checkpoint = train(wanted.recipe, scratch)
    place = scratch / "exports" / name
    place.mkdir(parents=True, exist_ok=True)
    # The export is named after this file.
    copied = Path(shutil.copy(checkpoint, place / f"{name}.pt"))
    precision = {"half": True} if wanted.half else {}
    words = {"format": wanted.format, "imgsz": wanted.size, "device": "cpu", **precision, **wanted.words}
    made = Path(YOLO(copied).export(**words))
    target = exported(name)
    if made.is_file():
        return Path(shutil.copy(made, target))
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(made, target))


def predict(name: str, target: Path, frames: list[Path]) -> dict[str, Any]:
    """Ultralytics' detections in frames with an export: unchanged from `predict`, in pixels of the frame."""
    wanted = EXPORTS[name]
    # Ultralytics recognizes an OpenVINO folder by the suffix of its name.
    linked = target if target.is_file() else _linked(target)
    model = YOLO(linked, task=RECIPES[wanted.recipe].task)
    words = {"imgsz": wanted.size, "rect": wanted.words.get("dynamic", False), "device": "cpu", "verbose": False}
    # One call per frame: a list of files would be decoded by Pillow as one batch, with other preprocessing.
    return {
        frame.name: _described(model.predict(frame, conf=CONFIDENCE, iou=OVERLAP, max_det=MOST, save=False, **words)[0])
        for frame in frames
    }


def _described(found: Results) -> dict[str, Any]:
    if found.probs is not None:
        return {"probabilities": _rounded(found.probs.data, 6)}
    boxes = found.obb if found.obb is not None else found.boxes
    objects: list[dict[str, Any]] = [
        {"class": int(number), "label": found.names[int(number)], "score": _rounded(score, 6)}
        for number, score in zip(boxes.cls, boxes.conf, strict=True)
    ]
    for index, thing in enumerate(objects):
        if found.obb is not None:
            thing["xywhr"] = _rounded(found.obb.xywhr[index], 5)
            thing["corners"] = _rounded(found.obb.xyxyxyxy[index])
        else:
            thing["box"] = _rounded(boxes.xyxy[index])
        if found.masks is not None:
            thing["polygon"] = _rounded(found.masks.xy[index])
            thing["mask_pixels"] = int(found.masks.data[index].sum())
        if found.keypoints is not None:
            thing["keypoints"] = _rounded(found.keypoints.data[index])
    return {"objects": objects}


def _shown(name: str, truth: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The frames with a thing of the model's classes."""
    kinds = RECIPES[EXPORTS[name].recipe].kinds
    return [frame for frame, things in truth.items() if any(thing["kind"] in kinds for thing in things)]


def _linked(folder: Path) -> Path:
    link = folder.with_name(f"{folder.name}_openvino_model")
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    return link


def _rounded(numbers: Any, digits: int = 3) -> Any:
    return np.asarray(numbers, dtype=np.float64).round(digits).tolist()


class _ExactCore(openvino.Core):
    """OpenVINO in float32 on every processor; its default is bfloat16 if the CPU supports it."""

    def __init__(self) -> None:
        super().__init__()
        self.set_property("CPU", {"INFERENCE_PRECISION_HINT": openvino.Type.f32})


def main() -> None:
    """Make the requested models and update their part of expected.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="where datasets, runs and checkpoints are kept")
    parser.add_argument("--only", help="a task, a recipe, or the name of one export")
    parser.add_argument("--keep-exports", action="store_true", help="only predict, with the exports that are there")
    options = parser.parse_args()
    openvino.Core = _ExactCore
    scratch = options.out.resolve()
    file = HERE / "expected.json"
    expected = json.loads(file.read_text()) if file.is_file() else {"models": {}}
    truth = write_frames(HERE / "frames")
    for name, wanted in EXPORTS.items():
        if options.only not in (None, name, wanted.recipe, RECIPES[wanted.recipe].task):
            continue
        target = exported(name) if options.keep_exports else export(name, scratch)
        expected["models"][name] = {
            "path": target.name,
            "task": RECIPES[wanted.recipe].task,
            "imgsz": wanted.size if isinstance(wanted.size, list) else [wanted.size, wanted.size],
            "rect": wanted.words.get("dynamic", False),
            "frames": predict(name, target, [HERE / "frames" / frame for frame in _shown(name, truth)]),
        }
        for link in HERE.glob("*_openvino_model"):
            link.unlink()
    order = [name for name in EXPORTS if name in expected["models"]]
    versions = {name: version(name) for name in ("ultralytics", "openvino", "torch", "opencv-python", "pillow")}
    document = {
        "by": "ultralytics predict on the export itself, OpenVINO (or ONNX Runtime) in float32",
        "versions": versions,
        "predict": {"conf": CONFIDENCE, "iou": OVERLAP, "max_det": MOST, "agnostic_nms": False},
        "drawn": truth,
        "models": {name: expected["models"][name] for name in order},
    }
    text = json.dumps(document, ensure_ascii=False, indent=1)
    # A list of numbers or points goes on one line.
    file.write_text(re.sub(r"\[[-\s\d.,\[\]]+\]", lambda found: " ".join(found[0].split()), text) + "\n")


if __name__ == "__main__":
    main()
