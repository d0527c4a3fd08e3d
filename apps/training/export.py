"""Exports trained weights to OpenVINO with what a job must know beside them: classes, input, measured quality."""

import argparse
import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "true")

import openvino
from ultralytics import YOLO

from apps.training.picture import INPUT_HEIGHT, INPUT_WIDTH


def export(weights: Path, folder: Path, notes: dict[str, Any]) -> None:
    """Writes `model.xml`, `model.bin` (half-precision weights) and `metadata.yaml` into `folder`.

    The batch size is dynamic, the picture's size fixed: input (N, 3, 192, 320), RGB in 0..1; output (N, 300, 6), rows
    of x1, y1, x2, y2 in input pixels, score, class, best first.
    """
    model = YOLO(weights, task="detect")
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(shutil.copy(weights, Path(scratch) / "weights.pt"))
        exported = Path(
            YOLO(copied, task="detect").export(
                format="openvino", imgsz=[INPUT_HEIGHT, INPUT_WIDTH], dynamic=True, half=True, nms=False, device="cpu"
            )
        )
        core = openvino.Core()
        network = core.read_model(next(exported.glob("*.xml")))
        network.reshape([-1, 3, INPUT_HEIGHT, INPUT_WIDTH])
        folder.mkdir(parents=True, exist_ok=True)
        openvino.save_model(network, folder / "model.xml", compress_to_fp16=True)
    metadata = {
        "task": "detect",
        "architecture": "yolo26n",
        "names": dict(model.names),
        "imgsz": [INPUT_HEIGHT, INPUT_WIDTH],
        "stride": 32,
        "channels": 3,
        "input": "RGB, 0..1, letterboxed on grey 114",
        "output": "end2end: (N, 300, 6) of x1, y1, x2, y2 in input pixels, score, class",
        "end2end": True,
        "versions": {name: version(name) for name in ("ultralytics", "torch", "openvino")},
        **notes,
    }
    # JSON is valid YAML, so this needs no YAML library.
    (folder / "metadata.yaml").write_text(json.dumps(metadata, indent=2) + "\n")


def main() -> None:
    """Export as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path, help="a checkpoint of apps.training.train")
    parser.add_argument("folder", type=Path, help="the folder to write, such as apps/spark_jobs/weights/scenes")
    parser.add_argument("--notes", type=json.loads, default={}, help="JSON to add to the metadata")
    options = parser.parse_args()
    export(options.weights, options.folder, options.notes)


if __name__ == "__main__":
    main()
