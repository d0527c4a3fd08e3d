"""Reads a network's output in any layout that a contract can name (apps/weights/contract.py) into Candidates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from apps.spark_jobs.models.suppression import suppress, suppress_oriented
from apps.weights import Weights

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]

MAX_DETECTIONS = 300

ALIKE = frozenset(("car", "bus", "truck"))
"""Labels that networks confuse: one object is often detected under two of them."""


@dataclass(frozen=True)
class Candidates:
    """Detected objects, one per row, best score first.

    `boxes` are x1, y1, x2, y2 in input pixels; for oriented boxes centre x, centre y, width, height before rotation.
    `more` are a mask's coefficients, keypoints, or the angle.
    """

    boxes: Floats
    scores: Floats
    classes: Numbers
    more: Floats

    def at(self, rows: Numbers | list[int]) -> "Candidates":
        """The candidates at these rows, in this order."""
        return Candidates(self.boxes[rows], self.scores[rows], self.classes[rows], self.more[rows])


def read_head(answer: Floats, weights: Weights, threshold: float) -> Candidates:
    """The objects of one picture: `answer` is the network's output without the batch dimension."""
    return _READERS[weights.output](answer, weights, threshold)


def _from_anchors(answer: Floats, weights: Weights, threshold: float) -> Candidates:
    """One column per anchor: centre x, centre y, width, height, one score per class, and more."""
    end = 4 + len(weights.names)
    return _one_an_object(answer[:4].T, answer[4:end].T, answer[end:].T, weights, threshold)


def _from_objectness(answer: Floats, weights: Weights, threshold: float) -> Candidates:
    """One row per anchor: centre x, centre y, width, height, objectness, one score per class."""
    return _one_an_object(answer[:, :4], answer[:, 4:5] * answer[:, 5:], answer[:, :0], weights, threshold)


def _one_an_object(boxes: Floats, scores: Floats, more: Floats, weights: Weights, threshold: float) -> Candidates:
    """The best class of each anchor, and the best of overlapping boxes: many anchors detect the same object."""
    best = scores.max(axis=1)
    rows = np.flatnonzero(best >= threshold)
    rows = rows[np.argsort(-best[rows], kind="stable")][: 10 * MAX_DETECTIONS]
    found = Candidates(boxes[rows], best[rows], scores[rows].argmax(axis=1), more[rows])
    if weights.task == "obb":
        return found.at(suppress_oriented(found.boxes, found.more[:, 0], found.classes)[:MAX_DETECTIONS])
    found = Candidates(_corners(found.boxes), found.scores, found.classes, found.more)
    return found.at(suppress(found.boxes, found.classes, _kinds(weights)[found.classes])[:MAX_DETECTIONS])


def _kinds(weights: Weights) -> Numbers:
    """A kind for each class: its own number, but one shared by the vehicles that networks confuse."""
    return np.array([-1 if name in ALIKE else number for number, name in enumerate(weights.names)], dtype=np.intp)


def _from_end2end(answer: Floats, weights: Weights, threshold: float) -> Candidates:
    """A network with non-maximum suppression built in: rows of x1, y1, x2, y2, score, class, and more."""
    kept = answer[answer[:, 4] >= threshold]
    kept = kept[np.argsort(-kept[:, 4], kind="stable")][:MAX_DETECTIONS]
    return Candidates(kept[:, :4], kept[:, 4], kept[:, 5].astype(np.intp), kept[:, 6:])


def _from_rtdetr(answer: Floats, weights: Weights, threshold: float) -> Candidates:
    """RT-DETR: rows of centre x, centre y, width, height in 0..1, score, class. No suppression needed."""
    found = _from_end2end(answer, weights, threshold)
    return Candidates(_corners(found.boxes) * _sides(weights), found.scores, found.classes, found.more)


def _from_queries(answer: Floats, weights: Weights, threshold: float) -> Candidates:
    """DETR's family: rows of centre x, centre y, width, height in 0..1, one score per class. No suppression needed."""
    scores = answer[:, 4:].max(axis=1, keepdims=True)
    classes = answer[:, 4:].argmax(axis=1)[:, None].astype(np.float32)
    return _from_rtdetr(np.concatenate([answer[:, :4], scores, classes], axis=1), weights, threshold)


def _sides(weights: Weights) -> Floats:
    return np.array([weights.width, weights.height] * 2, dtype=np.float32)


def _corners(boxes: Floats) -> Floats:
    centre, half = boxes[:, :2], boxes[:, 2:4] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


_READERS: dict[str, Callable[[Floats, Weights, float], Candidates]] = {
    "anchors": _from_anchors,
    "objectness": _from_objectness,
    "end2end": _from_end2end,
    "rtdetr": _from_rtdetr,
    "queries": _from_queries,
}
