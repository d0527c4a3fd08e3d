"""Reading a YOLO head's output: both layouts that Ultralytics exports."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

OVERLAP = 0.6
"""Two boxes of one class that share more than this (intersection over union) are one object."""
MAX_DETECTIONS = 300


@dataclass(frozen=True)
class Candidates:
    """Boxes (x1, y1, x2, y2 a row, in input pixels), best score first, with their scores and class numbers."""

    boxes: Floats
    scores: Floats
    classes: npt.NDArray[np.intp]


def from_end2end(output: Floats, threshold: float) -> Candidates:
    """A head that has already chosen: rows of x1, y1, x2, y2, score, class."""
    kept = output[output[:, 4] >= threshold]
    kept = kept[np.argsort(-kept[:, 4], kind="stable")]
    return Candidates(kept[:, :4], kept[:, 4], kept[:, 5].astype(np.intp))


def from_anchors(output: Floats, threshold: float) -> Candidates:
    """A head with one column an anchor: centre x, centre y, width, height, then a score a class."""
    scores = output[4:].max(axis=0)
    columns = np.flatnonzero(scores >= threshold)
    columns = columns[np.argsort(-scores[columns], kind="stable")][: 10 * MAX_DETECTIONS]
    centre, half = output[:2, columns].T, output[2:4, columns].T / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    classes = output[4:, columns].argmax(axis=0)
    kept = suppress(boxes, classes)
    return Candidates(boxes[kept], scores[columns][kept], classes[kept])


def suppress(boxes: Floats, classes: npt.NDArray[np.intp]) -> list[int]:
    """Indices of the boxes to keep, of boxes given best first: greedy non-maximum suppression within a class."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), dtype=np.bool_)
    kept: list[int] = []
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        if len(kept) == MAX_DETECTIONS:
            break
        corner = np.maximum(boxes[index, :2], boxes[:, :2])
        shared = np.prod(np.clip(np.minimum(boxes[index, 2:], boxes[:, 2:]) - corner, 0, None), axis=1)
        union = areas[index] + areas - shared
        alive &= ~((shared > OVERLAP * union) & (classes == classes[index]))
    return kept
