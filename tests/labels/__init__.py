"""Real frames with every person and vehicle in them labelled: the truth that detectors are measured by.

The boxes are in `vtest.json` and `bikes.json`, by frame number of footage that is not part of this repository.
README.md says how they were made. `python -m tests.labels FOOTAGE OUT` draws them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels; right and bottom are just outside the object."""


@dataclass(frozen=True)
class Labelled:
    """One object over the frames of a run in which it is visible.

    Objects of one run that have the same `track` are the same thing seen at different times: once demanded, once not.
    """

    label: str
    counts: bool
    track: int
    boxes: Mapping[int, Box]
    """By frame number, in pixels of the whole picture."""


@dataclass(frozen=True)
class Run:
    """Consecutive frames of one footage, whole or cropped, with everything in them labelled."""

    name: str
    footage: str
    sha256: str
    picture: tuple[int, int]
    """Width and height of the footage's own picture."""
    first: int
    count: int
    crop: tuple[int, int, int, int] | None
    """Left, top, width, height of the part that is sent; None for the whole picture."""
    scene: str
    objects: tuple[Labelled, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture that is sent."""
        return self.picture if self.crop is None else self.crop[2:]

    @property
    def frames(self) -> range:
        """Frame numbers, from 0 in the footage's decoding order."""
        return range(self.first, self.first + self.count)

    def truth(self, frame: int) -> list[tuple[str, Box, bool]]:
        """Label, box in pixels of the picture that is sent, and whether it counts, of everything visible in a frame.

        Raises KeyError for a frame that is not of this run.
        """
        if frame not in self.frames:
            raise KeyError(f"{self.name} has frames {self.first} to {self.first + self.count - 1}, not {frame}")
        left, top = (0, 0) if self.crop is None else self.crop[:2]
        seen = [(o.label, o.boxes[frame], o.counts) for o in self.objects if frame in o.boxes]
        return [(label, (b[0] - left, b[1] - top, b[2] - left, b[3] - top), counts) for label, b, counts in seen]


@cache
def runs() -> tuple[Run, ...]:
    """Every run of every footage, in the order of the files."""
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
