"""Trains YOLO26n from nothing, or on from earlier weights, on a rendered dataset, without a network or a GPU."""

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "true")

from ultralytics import YOLO

from apps.training.picture import INPUT_WIDTH


def train(
    dataset: Path,
    runs: Path,
    name: str,
    *,
    start: Path | None,
    epochs: int,
    hours: float | None,
    rate: float,
    batch: int,
    seed: int,
) -> Path:
    """Train for `epochs` or `hours`, whichever ends first; the schedule fits that. Returns the weights' path."""
    runs = runs.resolve()
    model = YOLO(start or "yolo26n.yaml", task="detect")
    if hours is not None:
        model.add_callback("on_train_batch_start", anneal_by_time(hours, rate, from_nothing=start is None))
    model.train(
        data=dataset / "data.yaml",
        project=str(runs),
        name=name,
        exist_ok=True,
        pretrained=start is not None,
        epochs=epochs,
        time=hours,
        batch=batch,
        nbs=batch,
        imgsz=INPUT_WIDTH,
        rect=True,
        cache=False,
        workers=0,
        device="cpu",
        seed=seed,
        optimizer="AdamW",
        lr0=rate,
        lrf=0.02,
        warmup_epochs=0.3,
        cos_lr=True,
        weight_decay=0.0005,
        # Every scene is new, so little augmentation is needed, and moving pixels would make exact boxes inexact.
        mosaic=0.0,
        scale=0.0,
        translate=0.0,
        erasing=0.0,
        hsv_h=0.01,
        hsv_s=0.3,
        hsv_v=0.2,
        fliplr=0.5,
        amp=False,
        plots=False,
        val=False,
        save_period=-1,
        patience=0,
    )
    return runs / name / "weights" / "last.pt"


def anneal_by_time(hours: float, rate: float, *, from_nothing: bool) -> Callable[[Any], None]:
    """A callback that anneals by elapsed time, because epochs are few, and uneven on a shared machine.

    It lowers the learning rate along a cosine, and moves the weight of the loss from the one-to-many head, which
    teaches the network, to the one-to-one head, which is exported.
    """
    first_many, last_many = (0.8 if from_nothing else 0.3), 0.1

    def anneal(trainer: Any) -> None:
        share = min(1.0, (time.time() - trainer.train_time_start) / (hours * 3600))
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)
        criterion = getattr(trainer.model, "criterion", None)
        if criterion is not None:
            criterion.o2m = first_many + (last_many - first_many) * share
            criterion.o2o = 1 - criterion.o2m

    return anneal


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder of apps.training.dataset")
    parser.add_argument("runs", type=Path, help="where Ultralytics keeps its runs")
    parser.add_argument("--name", default="objects")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--rate", type=float, default=0.002)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    print(train(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
