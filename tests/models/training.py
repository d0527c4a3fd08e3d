"""Trains the test models on one CPU thread, some minutes each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ultralytics import RTDETR, YOLO

from tests.models import architectures
from tests.models.dataset import write_classes, write_objects
from tests.models.drawing import KEYPOINTS, KINDS, Kind

SIZE = 128
"""The pictures' width and height in training (pixels)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One model's training: its task, classes and network, the initial weights, the number of frozen layers."""

    task: str
    kinds: tuple[Kind, ...]
    network: Callable[[], dict[str, Any]]
    start: str | None = None
    pictures: int = 320
    epochs: int = 10
    batch: int = 8
    rate: float = 0.003
    freeze: int = 0
    channels: int = 3
    build: Callable[..., Any] = YOLO


RECIPES = {
    "detect26": Recipe(
        task="detect",
        kinds=KINDS,
        network=lambda: architectures.yolo26("detect", len(KINDS)),
        pictures=640,
        epochs=14,
        batch=16,
    ),
    "segment26": Recipe(
        task="segment",
        kinds=KINDS,
        network=lambda: architectures.yolo26("segment", len(KINDS)),
        start="detect26",
        freeze=len(architectures.BACKBONE),
    ),
    "pose26": Recipe(
        task="pose",
        kinds=("figure",),
        network=lambda: architectures.yolo26("pose", 1, (len(KEYPOINTS), 3)),
        start="detect26",
        freeze=len(architectures.BACKBONE),
    ),
    "obb26": Recipe(
        task="obb",
        kinds=("stone", "figure"),
        network=lambda: architectures.yolo26("obb", 2),
        start="detect26",
        freeze=len(architectures.BACKBONE),
    ),
    "detect11": Recipe(
        task="detect",
        kinds=KINDS,
        network=lambda: architectures.yolo11(len(KINDS)),
        pictures=640,
        epochs=12,
        batch=16,
    ),
    "grey11": Recipe(
        task="detect",
        kinds=("ball", "figure"),
        network=lambda: architectures.yolo11(2, channels=1),
        start="detect11",
        epochs=8,
        channels=1,
    ),
    "classify11": Recipe(
        task="classify",
        kinds=KINDS,
        network=lambda: architectures.classifier(len(KINDS)),
        start="detect11",
        freeze=len(architectures.BACKBONE) - 1,
        epochs=4,
        rate=0.001,
    ),
    "rtdetr": Recipe(
        task="detect",
        kinds=KINDS,
        network=lambda: architectures.rtdetr(len(KINDS)),
        start="detect11",
        freeze=len(architectures.BACKBONE),
        epochs=14,
        rate=0.0008,
        build=RTDETR,
    ),
}


def train(name: str, scratch: Path) -> Path:
    """Train the recipe `name`, and first the one it starts from, unless they are already in `scratch`.

    Returns the checkpoint.
    """
    recipe = RECIPES[name]
    done = scratch / "weights" / f"{name}.pt"
    if done.is_file():
        return done
    start = train(recipe.start, scratch) if recipe.start else None
    network = scratch / "networks" / f"{name}.yaml"
    network.parent.mkdir(parents=True, exist_ok=True)
    network.write_text(json.dumps(recipe.network()))
    model = recipe.build(str(network))
    if start is not None:
        model.load(str(start))
    model.train(
        data=str(_dataset(recipe, scratch / "datasets" / name)),
        project=str(scratch / "runs"),
        name=name,
        exist_ok=True,
        imgsz=SIZE,
        epochs=recipe.epochs,
        batch=recipe.batch,
        nbs=recipe.batch,
        optimizer="AdamW",
        lr0=recipe.rate,
        lrf=0.02,
        cos_lr=True,
        warmup_epochs=0.5,
        weight_decay=0.0005,
        seed=1,
        # One thread is deterministic anyway, and this option makes torch load its compiler, which takes 18 s.
        deterministic=False,
        freeze=recipe.freeze,
        device="cpu",
        workers=0,
        cache="ram",
        amp=False,
        plots=False,
        val=False,
        patience=0,
        # Every picture is new, so augmentation only varies position, size and colour a little.
        mosaic=0.0,
        translate=0.1,
        scale=0.25,
        erasing=0.0,
        hsv_h=0.01,
        hsv_s=0.3,
        hsv_v=0.2,
        fliplr=0.5,
        auto_augment=None,
    )
    _keep(scratch / "runs" / name / "weights" / "last.pt", done)
    return done


def _dataset(recipe: Recipe, folder: Path) -> Path:
    if recipe.task == "classify":
        return write_classes(folder, recipe.pictures, seed=7)
    return write_objects(folder, recipe.task, recipe.kinds, pictures=recipe.pictures, seed=7, channels=recipe.channels)


def _keep(checkpoint: Path, done: Path) -> None:
    """Copy a checkpoint without the paths of the training machine, which exports would contain."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)
    said = {"data": "shapes.yaml", "project": None, "model": f"{done.stem}.yaml", "save_dir": None, "pretrained": None}
    content["train_args"] |= said
    for part in ("model", "ema"):
        if content.get(part) is not None:
            content[part].args = content["train_args"]
            content[part].yaml["yaml_file"] = f"{done.stem}.yaml"
            content[part].yaml_file = f"{done.stem}.yaml"
    done.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, done)
