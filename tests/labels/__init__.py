"""Real frames with all people and vehicles labelled: the ground truth for detectors.

The boxes are in `vtest.json` and `bikes.json`, by frame number of footage that is not in this repository. README.md
says how they were made. `python -m tests.labels FOOTAGE OUT` draws them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


@dataclass(frozen=True)
class Labelled:
    """One object in the frames of a run in which it is visible.

    Objects of a run with the same `track` are one thing at different times, where it counts in some and not in others.
    """

    label: str
    counts: bool
    track: int
    boxes: Mapping[int, Box]
    """By frame number, in pixels of the whole picture."""


@dataclass(frozen=True)
class Run:
    """Consecutive frames of one footage, whole or cropped, and completely labelled."""

    name: str
    footage: str
    sha256: str
    picture: tuple[int, int]
    """Width and height of the footage."""
    first: int
    count: int
    crop: tuple[int, int, int, int] | None
    """Left, top, width, height of the sent part; None for the whole picture."""
    scene: str
    objects: tuple[Labelled, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sent picture."""
        return self.picture if self.crop is None else self.crop[2:]

    @property
    def frames(self) -> range:
        """Frame numbers, from 0 in the footage's decoding order."""
        return range(self.first, self.first + self.count)

    def truth(self, frame: int) -> list[tuple[str, Box, bool]]:
        """Label, box in pixels of the sent picture, and whether it counts, for every visible object in a frame.

        Raises KeyError for a frame outside this run.
        """
        if frame not in self.frames:
            raise KeyError(f"{self.name} has frames {self.first} to {self.first + self.count - 1}, not {frame}")
        left, top = (0, 0) if self.crop is None else self.crop[:2]
        seen = [(o.label, o.boxes[frame], o.counts) for o in self.objects if frame in o.boxes]
        return [(label, (b[0] - left, b[1] - top, b[2] - left, b[3] - top), counts) for label, b, counts in seen]


@cache
def runs() -> tuple[Run, ...]:
    """All runs of all footage, in the order of the files."""
    files = [Path(__file__).with_name(name) for name in ("vtest.json", "bikes.json")]
    return tuple(run for file in files for run in _runs_of(json.loads(file.read_text())))


def _runs_of(data: dict[str, Any]) -> list[Run]:
    return [
        Run(
            name=run["name"],
            footage=data["footage"],
            sha256=data["sha256"],
            picture=(data["width"], data["height"]),
            first=run["first"],
            count=run["count"],
            crop=tuple(run["crop"]) if run["crop"] else None,
            scene=run["scene"],
            objects=tuple(_object(o) for o in run["objects"]),
        )
        for run in data["runs"]
    ]


def _object(data: dict[str, Any]) -> Labelled:
    boxes = {int(frame): (box[0], box[1], box[2], box[3]) for frame, box in data["boxes"].items()}
    return Labelled(label=data["label"], counts=data["counts"], track=data["track"], boxes=boxes)
