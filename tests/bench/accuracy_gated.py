"""What the gate costs in recall and saves in looks: labelled runs replayed with it, against looking at every frame.

People walk in every labelled picture, so the gate skips none of them whole. Therefore each picture is also replayed as
twelve parts, each gated by itself as if it were a camera of its own: most are still, and into some somebody walks.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from types import MappingProxyType

from apps.messages import Detection, Frame
from apps.model_api.jpeg import Image
from apps.spark_jobs.gate import Gate
from apps.spark_jobs.models import Model
from apps.spark_jobs.models.stillness import still, view_of
from components.config.sections import Gate as Section
from tests.bench.accuracy_pictures import read_run, sent, truth
from tests.labels import Run, runs
from tests.scoring import VEHICLES, Found, Real, Scores, everything_kept

HEADER = ("gated", "frames/s", "looked at", "people: recall", "was", "precision", "was", "vehicles: recall", "was")
RATES = (1, 2, 5)
SECONDS = Section().seconds
LEAD_SECONDS = 2.0
"""How long before a run's first labelled frame its replay begins."""
FOOTAGE_RATES = MappingProxyType({"vtest.avi": 10, "bikes.mp4": 25})
"""Frames per second of the footage."""
GRID = (4, 3)
"""Columns and rows of a picture's parts."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One frame of a run, what the model finds in it, and its labels (None before the run's first labelled frame)."""

    frame: Frame
    detections: tuple[Detection, ...]
    real: tuple[Real, ...] | None
    view: Image


@dataclass
class Replay:
    """The scores of all labelled frames with the gate and without it, the number of looks, and the gate's CPU time."""

    gated: Scores = field(default_factory=Scores)
    always: Scores = field(default_factory=Scores)
    decided: int = 0
    looked: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, shot: Shot, detections: tuple[Detection, ...]) -> None:
        """Score one labelled frame with what the gate gave for it."""
        assert shot.real is not None
        self.gated.add(_found(detections), shot.real)
        self.always.add(_found(shot.detections), shot.real)

    def decide(self, looked: bool) -> None:
        """Count one decision about a labelled frame or a part of it."""
        self.decided += 1
        self.looked += looked


def rows(folder: Path, model: Model) -> tuple[list[list[str]], float]:
    """The rows of the table, and the median CPU time of the gate per frame in milliseconds."""
    shots = [(FOOTAGE_RATES[run.footage], list(shots_of(folder, run, model))) for run in runs()]
    lines, seconds = [], []
    for name, replayed in (("whole pictures", replay_whole), ("twelfths", replay_parts)):
        for rate in RATES:
            replay = Replay()
            for footage_rate, shown in shots:
                step = max(1, round(footage_rate / rate))
                for phase in range(step):
                    replayed(shown[phase::step], replay)
            lines.append(_row(name, rate, replay))
            seconds += replay.seconds
    return lines, 1000 * median(seconds)


def shots_of(folder: Path, run: Run, model: Model) -> Iterator[Shot]:
    """The run's frames in order, from LEAD_SECONDS before its first labelled one."""
    rate = FOOTAGE_RATES[run.footage]
    lead = min(run.first, round(LEAD_SECONDS * rate))
    longer = replace(run, first=run.first - lead, count=run.count + lead)
    for number, image in zip(longer.frames, read_run(folder, longer), strict=True):
        frame, scale = sent(image, run.name, number)
        frame = replace(frame, captured_at=frame.captured_at + timedelta(seconds=number / rate))
        real = truth(run, number, scale) if number in run.frames else None
        yield Shot(frame=frame, detections=model.detect(frame), real=real, view=view_of(frame))


def replay_whole(shots: list[Shot], replay: Replay) -> None:
    """Show the frames to a gate as executors do."""
    gate, known = Gate(seconds=SECONDS), {shot.frame.sequence: shot.detections for shot in shots}
    for shot in shots:
        began = time.process_time()
        detections, skipped = gate.detect(shot.frame, lambda frame: known[frame.sequence])
        replay.seconds.append(time.process_time() - began)
        if shot.real is not None:
            replay.decide(skipped is None)
            replay.add(shot, detections)


def replay_parts(shots: list[Shot], replay: Replay) -> None:
    """Gate every part of the pictures by itself; a part has the detections whose centres are in it."""
    references: dict[tuple[int, int], Shot] = {}
    for shot in shots:
        for part, view in _parts(shot.view):
            reference = references.get(part)
            like = (
                reference is not None
                and shot.frame.captured_at - reference.frame.captured_at < timedelta(seconds=SECONDS)
                and still(dict(_parts(reference.view))[part], view)
            )
            if not like:
                references[part] = shot
            if shot.real is not None:
                replay.decide(not like)
        if shot.real is not None:
            replay.add(shot, _composed(references))


def _parts(view: Image) -> Iterator[tuple[tuple[int, int], Image]]:
    (columns, rows), (height, width) = GRID, view.shape
    for row in range(rows):
        for column in range(columns):
            rectangle = view[
                height * row // rows : height * (row + 1) // rows,
                width * column // columns : width * (column + 1) // columns,
            ]
            yield (column, row), rectangle


def _composed(references: Mapping[tuple[int, int], Shot]) -> tuple[Detection, ...]:
    return tuple(
        one for part, shot in references.items() for one in shot.detections if _part_of(one, shot.frame) == part
    )


def _part_of(one: Detection, frame: Frame) -> tuple[int, int]:
    (columns, rows), (x1, y1, x2, y2) = GRID, one.box
    column, row = int((x1 + x2) / 2 / frame.width * columns), int((y1 + y2) / 2 / frame.height * rows)
    return min(max(column, 0), columns - 1), min(max(row, 0), rows - 1)


def _found(detections: tuple[Detection, ...]) -> list[Found]:
    return [Found(label=one.label, score=one.score, box=one.box) for one in detections]


def _row(name: str, rate: int, replay: Replay) -> list[str]:
    people, always = (scores.of({"person"}, everything_kept) for scores in (replay.gated, replay.always))
    vehicles, before = (scores.of(VEHICLES, everything_kept) for scores in (replay.gated, replay.always))
    figures = (
        (people.recall, always.recall),
        (people.precision, always.precision),
        (vehicles.recall, before.recall),
    )
    cells = [f"{value:.3f}" for pair in figures for value in pair]
    return [name, str(rate), f"{100 * replay.looked / replay.decided:.0f} %", *cells]
