"""`python -m apps.weights.export FOLDER`: every Ultralytics checkpoint `FOLDER/*/*.pt` becomes an OpenVINO export.

A step of the Spark image's build, where a stack has checkpoints: only there are PyTorch and Ultralytics installed.
"""

import shutil
import sys
from pathlib import Path

from ultralytics import YOLO

from apps.weights import WeightsError, read_weights

SIDES = {"classify": 224}
SIDE = 320
"""The input that an export begins with (pixels). All but RT-DETR's take others, by the key `size` of the stack."""


def main(weights: Path) -> None:
    """Export what is found, or end with what is wrong with it."""
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
            # No suppression inside: a network that chooses by itself goes on to, the others' boxes Argus merges.
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
