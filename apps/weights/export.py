"""`python -m apps.weights.export FOLDER` exports every Ultralytics checkpoint `FOLDER/*/*.pt` to OpenVINO.

It runs in the Spark image's build if a stack has checkpoints. Only there are PyTorch and Ultralytics installed.
"""

import shutil
import sys
from pathlib import Path

from ultralytics import YOLO

from apps.weights import WeightsError, read_weights

SIDES = {"classify": 224}
SIDE = 320
"""The input size of an export (pixels). All but RT-DETR's accept others, by the stack's key `size`."""


def main(weights: Path) -> None:
    """Export all checkpoints, or exit with the reason."""
    for checkpoint in sorted(weights.glob("*/*.pt")):
        folder = checkpoint.parent
        try:
            export(checkpoint)
            read_weights(folder)
        except (WeightsError, NotImplementedError, RuntimeError) as unusable:
            sys.exit(f"models.{folder.name}.weights: {checkpoint.name} has no export that Argus can run: {unusable}")


def export(checkpoint: Path) -> None:
    """Write the OpenVINO export beside the checkpoint, and remove the checkpoint."""
    model = YOLO(checkpoint)
    any_size = "RTDETR" not in type(model.model).__name__
    exported = Path(
        model.export(
            format="openvino",
            imgsz=SIDES.get(model.task, SIDE),
            dynamic=any_size,
            half=True,
            # Argus suppresses overlapping boxes itself. Networks that are end-to-end stay so.
            nms=False,
            device="cpu",
        )
    )
    for file in exported.iterdir():
        shutil.move(file, checkpoint.parent / file.name)
    exported.rmdir()
    checkpoint.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
