"""Draws datasets in Ultralytics' layout: the same seed gives the same files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.models.drawing import KEYPOINTS, KINDS, MIRRORED, Image, Kind, Points, Thing, draw

SHAPES = ((320, 180), (320, 180), (320, 240), (240, 240), (240, 320))
"""Widths and heights of the pictures."""

LABELS: dict[Kind, str] = {"ball": "ball", "figure": "пешеход", "stone": "paving stone"}
"""The class names: one plain, one outside ASCII, one with a space."""


def write_objects(folder: Path, task: str, kinds: tuple[Kind, ...], *, pictures: int, seed: int, channels: int) -> Path:
    """A dataset of `pictures` for detect, segment, pose or obb, whose classes are `kinds`. Returns its data.yaml."""
    random = np.random.default_rng(seed)
    line = _LINES[task]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    for number in range(pictures):
        width, height = SHAPES[int(random.integers(len(SHAPES)))]
        # Kinds that the model does not know are drawn too, so that it learns to ignore them.
        picture, things = draw(random, width, height, (*kinds, *KINDS), least=1, most=5)
        rows = [f"{kinds.index(thing.kind)} {line(thing, width, height)}\n" for thing in things if thing.kind in kinds]
        _write(folder / "images" / f"{number:05d}.jpg", picture, random)
        (folder / "labels" / f"{number:05d}.txt").write_text("".join(rows))
    description: dict[str, Any] = {
        "path": str(folder.resolve()),
        "train": "images",
        "val": "val.txt",
        "names": {number: LABELS[kind] for number, kind in enumerate(kinds)},
        "channels": channels,
    }
    if task == "pose":
        description |= {"kpt_shape": [len(KEYPOINTS), 3], "flip_idx": list(MIRRORED)}
    # Ultralytics requires a final validation, whose result is not used.
    (folder / "val.txt").write_text("".join(f"./images/{number:05d}.jpg\n" for number in range(8)))
    (folder / "data.yaml").write_text(json.dumps(description))
    return folder / "data.yaml"


def write_classes(folder: Path, pictures: int, seed: int) -> Path:
    """A dataset for classify: each picture shows things of one kind. Returns the folder."""
    random = np.random.default_rng(seed)
    for number in range(pictures):
        kind = KINDS[number % len(KINDS)]
        width, height = SHAPES[int(random.integers(len(SHAPES)))]
        # Only the middle of a wide picture is used, so there must be many things.
        picture, _ = draw(random, width, height, (kind,), least=3, most=6)
        for split in ("train", "val"):
            place = folder / split / LABELS[kind]
            place.mkdir(parents=True, exist_ok=True)
            if split == "train" or number < 6:
                _write(place / f"{number:05d}.jpg", picture, np.random.default_rng(number))
    return folder


def _write(file: Path, picture: Image, random: np.random.Generator) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(70, 95))]
    file.write_bytes(cv2.imencode(".jpg", picture, quality)[1].tobytes())


def _shares(points: Points, width: int, height: int) -> str:
    return " ".join(f"{share:.6f}" for share in np.clip(points / (width, height), 0, 1).reshape(-1))


def _box(thing: Thing, width: int, height: int) -> str:
    left, top, right, bottom = thing.box
    middle = np.array([[(left + right) / 2, (top + bottom) / 2], [right - left, bottom - top]], dtype=np.float32)
    return _shares(middle, width, height)


def _pose(thing: Thing, width: int, height: int) -> str:
    assert thing.keypoints is not None
    seen = [f"{x / width:.6f} {y / height:.6f} 2" for x, y in thing.keypoints]
    return " ".join([_box(thing, width, height), *seen])


def _corners(thing: Thing, width: int, height: int) -> str:
    left, top, right, bottom = thing.box
    upright = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    return _shares(upright if thing.corners is None else thing.corners, width, height)


_LINES: dict[str, Callable[[Thing, int, int], str]] = {
    "detect": _box,
    "segment": lambda thing, width, height: _shares(thing.outline, width, height),
    "pose": _pose,
    "obb": _corners,
}
