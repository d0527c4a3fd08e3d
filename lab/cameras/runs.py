"""Labelled runs: consecutive frames of the footage that a camera `run-<name>` sends again and again, one a second.

A test that knows what each frame shows, see tests/labels, finds it again in what comes out of the pipeline.
"""

from dataclasses import dataclass

from lab.cameras import Crop

PREFIX = "run-"
"""What the names of the runs' cameras begin with."""


@dataclass(frozen=True)
class Run:
    """The `count` frames of `source` that begin with number `first` (from 0), whole or cropped, in their own size."""

    name: str
    source: str
    first: int
    count: int
    crop: Crop | None = None


RUNS = (
    Run("plaza", "vtest.avi", 100, 16),
    Run("crossing", "vtest.avi", 400, 16, (192, 96, 480, 270)),
)
