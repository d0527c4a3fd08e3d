"""Build step: turns every Ultralytics checkpoint `WEIGHTS/<model>/*.pt` into an OpenVINO export in the same folder."""

import shutil
import sys
from pathlib import Path

from ultralytics import YOLO

INPUT_SIDE = 320


def main(weights: Path) -> None:
    """Export what is found, or end with what is wrong with it."""
    for checkpoint in sorted(weights.glob("*/*.pt")):
        model = YOLO(checkpoint)
        if model.task != "detect":
            sys.exit(
                f"models.{checkpoint.parent.name}.weights: {checkpoint.name} is for the task {model.task!r}; "
                "Argus runs detectors (task 'detect')"
            )
        exported = Path(
            model.export(format="openvino", imgsz=INPUT_SIDE, dynamic=True, half=True, nms=False, device="cpu")
        )
        for file in exported.iterdir():
            shutil.move(file, checkpoint.parent / file.name)
        exported.rmdir()
        checkpoint.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
