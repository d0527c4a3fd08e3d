"""Labelled runs: consecutive frames of the footage that a camera `run-<name>` repeats slowly.

tests/labels says what each frame shows, so that tests can compare it with the pipeline's results.
"""

from dataclasses import dataclass

from lab.cameras import Crop

PREFIX = "run-"
"""The prefix of the names of the runs' cameras."""


@dataclass(frozen=True)
class Run:
    """`count` frames of `source` from number `first` (from 0) on, whole or cropped, not scaled."""

    name: str
    source: str
    first: int
    count: int
    crop: Crop | None = None


RUNS = (
    Run("vtest-01", "vtest.avi", 60, 15),
    Run("vtest-02", "vtest.avi", 150, 15),
    Run("vtest-03", "vtest.avi", 195, 15, (384, 0, 384, 288)),
    Run("vtest-04", "vtest.avi", 240, 15),
    Run("vtest-05", "vtest.avi", 285, 15, (0, 108, 384, 288)),
    Run("vtest-06", "vtest.avi", 335, 15),
    Run("vtest-07", "vtest.avi", 425, 15),
    Run("vtest-08", "vtest.avi", 500, 15, (352, 240, 416, 312)),
    Run("vtest-09", "vtest.avi", 555, 15),
    Run("vtest-10", "vtest.avi", 640, 15, (160, 192, 512, 384)),
    Run("vtest-11", "vtest.avi", 735, 15),
    Run("bikes-01", "bikes.mp4", 112, 15),
    Run("bikes-02", "bikes.mp4", 160, 15),
    Run("bikes-03", "bikes.mp4", 201, 15),
)
