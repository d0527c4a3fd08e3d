"""`make bench-accuracy`: what the detectors find in labelled real frames and in rendered ones, and what a frame costs.

Frames are JPEGs as producers send them; each goes through every detector in turn, so that their costs compare. Real
frames are those of tests/labels, rendered ones of cameras that no detector was trained on, with exact truth. The
pictures with drawn boxes are in artifacts/accuracy.
"""

import argparse
import html
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from apps.messages import Frame
from apps.scenes import all_actors, render
from apps.scenes.seed import seeded_random
from apps.spark_jobs.models import Model, load_model
from apps.spark_jobs.models.wanted import Wanted
from apps.weights import read_weights
from components.config.sections import ARGUS_WEIGHTS
from lab.cameras import footage
from lab.progress import step
from tests.bench import accuracy_gated
from tests.bench.accuracy_pictures import Image, read_run, sent, truth
from tests.bench.table import table
from tests.jobs import job_spec
from tests.labels import runs
from tests.scoring import VEHICLES, Found, Real, Scores

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "artifacts" / "accuracy"
HEADER = ("frames", "detector", "label", "objects", "precision", "recall", "AP50", "AP50-95")
COST_HEADER = ("detector", "version", "ms of CPU a frame", "x scenes")
LOWEST_SCORE = 0.01
"""Detections from this score on are kept for the curve; precision and recall are at SCORE."""
_RENDERED_CAMERAS, _RENDERED_FRAMES = 12, 4


@dataclass(frozen=True)
class Picture:
    """A labelled frame: its origin, the sent frame, and its labels."""

    group: str
    name: str
    frame: Frame
    real: tuple[Real, ...]


@dataclass
class Detector:
    """One of the compared models, with its results."""

    name: str
    curious: Model
    """Also reports very low scores, which the curves need. Not realistic, so it is not timed."""
    model: Model
    """As in a stack without thresholds."""
    wanted: Wanted
    scores: dict[str, Scores] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def look(self, picture: Picture) -> tuple[Found, ...]:
        """Detect in the picture, and record detections and time."""
        began = time.process_time()
        self.model.detect(picture.frame)
        self.seconds.append(time.process_time() - began)
        detections = self.curious.detect(picture.frame)
        found = tuple(Found(label=one.label, score=one.score, box=one.box) for one in detections)
        self.scores.setdefault(picture.group, Scores()).add(found, picture.real)
        return found

    def sure(self, one: Found) -> bool:
        """Whether a stack without thresholds keeps the detection."""
        return one.score >= self.wanted.by_label.get(one.label, self.wanted.threshold)

    @property
    def milliseconds(self) -> float:
        """The median CPU time per frame."""
        return 1000 * median(self.seconds)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, draw the boxes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accuracy", description=__doc__)
    parser.add_argument("--weights", type=Path, help="weights of your own, compared with Argus's")
    options = parser.parse_args(arguments)
    detectors = [
        detector("nanodet fast", ARGUS_WEIGHTS / "nanodet", size="fast"),
        detector("nanodet sharp", ARGUS_WEIGHTS / "nanodet", size="sharp"),
        detector("scenes", ARGUS_WEIGHTS / "scenes"),
    ]
    if options.weights:
        detectors.append(detector(options.weights.name, options.weights))
    pictures = [*real_pictures(footage.ensure()), *rendered_pictures()]
    with step(f"{len(pictures)} frames, {len(detectors)} detectors"):
        for number, picture in enumerate(pictures):
            for place in range(len(detectors)):
                one = detectors[(number + place) % len(detectors)]
                found = one.look(picture)
                _draw(one, picture, found)
    _write_page(detectors, pictures)
    print(table(HEADER, [row for one in detectors for row in rows(one)]))
    print()
    base = next(one for one in detectors if one.name == "scenes").milliseconds
    costs = [
        [one.name, one.model.version, f"{one.milliseconds:.1f}", f"{one.milliseconds / base:.2f}"] for one in detectors
    ]
    print(table(COST_HEADER, costs))
    print()
    with step("replaying the labelled runs with the gate"):
        gated, milliseconds = accuracy_gated.rows(footage.ensure(), detectors[0].model)
    print(table(accuracy_gated.HEADER, gated))
    print(
        f"\n{detectors[0].name} behind the gate: the share of pictures (of their twelfths, each gated by itself) that "
        "were looked at;\nrecall and precision with the gate, and what they were without it. "
        f"The gate costs {milliseconds:.2f} ms of CPU a frame."
    )
    print(
        "\nPrecision and recall at the weights' own thresholds and IoU 0.5; one thread, medians, every detector on "
        f"every frame in turn; {os.cpu_count()} cores.\nDrawn boxes: {PICTURES.relative_to(ROOT)}/index.html. "
        "Again: make bench-accuracy"
    )
    return 0


def detector(name: str, weights: Path, *, size: str | None = None) -> Detector:
    """A detector with these weights, run as in a job, on one thread."""
    spec = job_spec(weights=weights, size=size)
    wanted = Wanted.of(spec, read_weights(weights, size=size).thresholds)
    return Detector(name, load_model(replace(spec, score_threshold=LOWEST_SCORE)), load_model(spec), wanted)


def real_pictures(folder: Path) -> Iterator[Picture]:
    """All labelled frames by scene: whole pictures, and crops of the ground."""
    for run in runs():
        for number, image in zip(range(run.first, run.first + run.count), read_run(folder, run), strict=True):
            frame, scale = sent(image, run.name, number)
            group = f"real, {Path(run.footage).stem}{' crops' if run.crop else ''}"
            yield Picture(group, run.name, frame, truth(run, number, scale))


def rendered_pictures() -> Iterator[Picture]:
    """Day and night frames of rendered cameras that are in no stack and no training set."""
    for camera in (f"held-out-{number:02d}" for number in range(1, _RENDERED_CAMERAS + 1)):
        roll = seeded_random("evaluation", camera)
        for _ in range(_RENDERED_FRAMES):
            sequence = roll.randrange(1 << 50)
            frame, _ = sent(render(camera, sequence), camera, sequence)
            real = tuple(Real(label=one.label, box=one.box, counts=one.counts) for one in all_actors(camera, sequence))
            yield Picture("rendered", camera, frame, real)


def rows(one: Detector) -> list[list[str]]:
    """The detector's part of the table: one row per label that occurs, and one for all vehicles."""
    lines = []
    whole = Scores(
        [picture for group, scores in one.scores.items() if group != "rendered" for picture in scores.pictures]
    )
    for group, scores in {"real, all": whole, **one.scores}.items():
        there = {real.label for _, reals in scores.pictures for real in reals if real.counts}
        chosen = {label: {label} for label in sorted(there)}
        if there & VEHICLES:
            chosen["any vehicle"] = set(VEHICLES)
        for label, labels in chosen.items():
            figures = scores.of(labels, one.sure)
            values = (figures.precision, figures.recall, figures.average_precision_50, figures.average_precision)
            lines.append([group, one.name, label, str(figures.objects), *(f"{value:.2f}" for value in values)])
    return lines


def _draw(one: Detector, picture: Picture, found: Sequence[Found]) -> None:
    """Draw labels in white, those that do not count in grey, detections in yellow with their scores."""
    image = np.asarray(cv2.imdecode(np.frombuffer(picture.frame.jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
    for real in picture.real:
        _box(image, real.box, (255, 255, 255) if real.counts else (128, 128, 128))
    for each in found:
        if one.sure(each):
            _box(image, each.box, (0, 220, 255))
            place = (round(each.box[0]), max(9, round(each.box[1]) - 2))
            text = f"{each.label} {each.score:.2f}"
            cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 220, 255), 1, cv2.LINE_AA)
    path = PICTURES / _file(one, picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def _box(image: Image, box: Sequence[float], colour: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = (round(edge) for edge in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, 1)


def _file(one: Detector, picture: Picture) -> Path:
    return Path(one.name.replace(" ", "-"), f"{picture.name}-{picture.frame.sequence}.jpg")


def _write_page(detectors: Sequence[Detector], pictures: Sequence[Picture]) -> None:
    """Write one page with one row per picture and one column per detector."""
    head = "".join(f"<th>{html.escape(one.name)}" for one in detectors)
    body = "".join(
        f"<tr><th>{html.escape(picture.name)}<br>{picture.frame.sequence}"
        + "".join(f'<td><img loading=lazy src="{html.escape(str(_file(one, picture)))}">' for one in detectors)
        for picture in pictures
    )
    (PICTURES / "index.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>Accuracy</title><table><tr><th>frame{head}{body}</table>\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
