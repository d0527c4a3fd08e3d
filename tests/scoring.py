"""Scores detections: precision and recall at a threshold, average precision as in COCO."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]

VEHICLES = frozenset(("car", "truck", "bus", "motorcycle"))
"""Also scored together, because a van is a car to one labeller and a truck to another."""

_MOST = 100
"""The most detections of a picture that are scored, as in COCO."""
_BARS = tuple(float(bar) for bar in np.arange(0.5, 1.0, 0.05))


@dataclass(frozen=True, kw_only=True)
class Real:
    """One labelled thing. If it does not count, it is too hidden or small to be required, but is no false positive."""

    label: str
    box: Box
    counts: bool = True


@dataclass(frozen=True, kw_only=True)
class Found:
    """One detection."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, kw_only=True)
class Counts:
    """For some labels over all pictures at IoU 0.5: numbers of things, of detections that count, and of matches."""

    objects: int
    found: int
    matched: int

    @property
    def precision(self) -> float:
        """The share of detections that are correct."""
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """The share of things that were detected."""
        return self.matched / self.objects if self.objects else 0.0

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f} ({self.matched} matched, {self.found} found, "
            f"{self.objects} present)"
        )


@dataclass(frozen=True, kw_only=True)
class Figures(Counts):
    """Counts, and over all scores the average precision at IoU 0.5 and its mean over IoU 0.50 to 0.95."""

    average_precision_50: float
    average_precision: float


def together(counts: Iterable[Counts]) -> Counts:
    """Sum the counts of several labels."""
    every = list(counts)
    return Counts(
        objects=sum(one.objects for one in every),
        found=sum(one.found for one in every),
        matched=sum(one.matched for one in every),
    )


def everything_kept(one: Found) -> bool:
    """For stored results, to which the stack's thresholds were already applied."""
    return True


def found_in(document: Mapping[str, Any]) -> list[Found]:
    """The detections of a result's document."""
    return [Found(label=one["label"], score=one["score"], box=tuple(one["box"])) for one in document["detections"]]


def overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    if wide <= 0 or high <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return wide * high / (area - wide * high)


@dataclass(frozen=True)
class _Picture:
    """A picture's detections, best first, its labelled things, and all pairwise overlaps."""

    found: Sequence[Found]
    real: Sequence[Real]
    overlaps: Sequence[Sequence[float]]

    @classmethod
    def of(cls, found: Iterable[Found], real: Iterable[Real], labels: Collection[str]) -> "_Picture":
        seen = sorted((one for one in found if one.label in labels), key=lambda one: -one.score)[:_MOST]
        there = [one for one in real if one.label in labels]
        return cls(seen, there, [[overlap(one.box, other.box) for other in there] for one in seen])

    def answers(self, bar: float, sure: Callable[[Found], bool] = everything_kept) -> list[tuple[float, bool]]:
        """Each detection's score, and whether it matches a thing that no better one has matched.

        As in KITTI, a detection that only matches a thing that does not count is ignored.
        """
        taken: set[int] = set()
        answers = []
        for one, shares in zip(self.found, self.overlaps, strict=True):
            if not sure(one):
                continue
            candidates = [
                (self.real[place].counts, share, place)
                for place, share in enumerate(shares)
                if share >= bar and place not in taken
            ]
            counts, _, place = max(candidates, default=(True, 0.0, None))
            if place is not None:
                taken.add(place)
            if counts:
                answers.append((one.score, place is not None))
        return answers


@dataclass
class Scores:
    """The detections and labelled things of all pictures."""

    pictures: list[tuple[Sequence[Found], Sequence[Real]]] = field(default_factory=list)

    def add(self, found: Sequence[Found], real: Sequence[Real]) -> None:
        """Add one picture."""
        self.pictures.append((found, real))

    def of(self, labels: Collection[str], sure: Callable[[Found], bool]) -> Figures:
        """The figures of these labels as one: counts at IoU 0.5 of detections that are `sure`, and over all scores."""
        pictures = [_Picture.of(found, real, labels) for found, real in self.pictures]
        objects = sum(one.counts for picture in pictures for one in picture.real)
        certain = [answer for picture in pictures for answer in picture.answers(_BARS[0], sure)]
        answers = {bar: [answer for picture in pictures for answer in picture.answers(bar)] for bar in _BARS}
        curve = [_average_precision(answers[bar], objects) for bar in _BARS]
        return Figures(
            objects=objects,
            found=len(certain),
            matched=sum(right for _, right in certain),
            average_precision_50=curve[0],
            average_precision=sum(curve) / len(curve),
        )


def _average_precision(answers: Sequence[tuple[float, bool]], objects: int) -> float:
    """The area under the precision-recall curve, at 101 points as in COCO."""
    if not objects or not answers:
        return 0.0
    right = np.cumsum([correct for _, correct in sorted(answers, key=lambda answer: -answer[0])])
    precision = right / np.arange(1, len(answers) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(right / objects, np.linspace(0, 1, 101), side="left")
    return float(np.mean([precision[place] if place < len(precision) else 0.0 for place in places]))
