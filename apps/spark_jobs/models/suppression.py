"""Boxes that are the same object: which of them stay (docs/adr/0017-weights.md has what was measured)."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]

OVERLAP = 0.5
"""Two boxes of one class that share more than this (intersection over union) are one object."""

INSIDE, PART = 0.85, 0.1
"""A box of the same class of which this share lies inside a better one is a part of it, such as a large person's head,
unless it is smaller than this share of it: then it is somebody far behind."""

KIND_OVERLAP = 0.6
"""Two boxes of one kind of thing, such as a car and a truck, that share more than this are one object."""

_TINY = 1e-7


def suppress(boxes: Floats, classes: Numbers, kinds: Numbers) -> list[int]:
    """Indices of the boxes (x1, y1, x2, y2 a row, best first) to keep: greedy non-maximum suppression.

    `kinds` are as many numbers as `classes`; classes that are easily taken for each other are of one kind.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), dtype=np.bool_)
    kept: list[int] = []
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        corner = np.maximum(boxes[index, :2], boxes[:, :2])
        shared = np.prod(np.clip(np.minimum(boxes[index, 2:], boxes[:, 2:]) - corner, 0, None), axis=1)
        union = areas[index] + areas - shared
        part = (shared > INSIDE * areas) & (areas >= PART * areas[index])
        alive &= ~((classes == classes[index]) & ((shared > OVERLAP * union) | part))
        alive &= ~((kinds == kinds[index]) & (shared > KIND_OVERLAP * union))
    return kept


def suppress_oriented(boxes: Floats, angles: Floats, classes: Numbers) -> list[int]:
    """The same of turned boxes (centre x, centre y, width, height a row, best first): by probiou, as YOLO is trained.

    A box goes if any better one of its class overlaps it, whether that one stays or not (Fast NMS).
    """
    overlap = np.triu(_probiou(boxes.astype(np.float64), angles.astype(np.float64)), k=1)
    same = classes[:, None] == classes[None, :]
    return [int(index) for index in np.flatnonzero(~((overlap > OVERLAP) & same).any(axis=0))]


def _probiou(boxes: npt.NDArray[np.float64], angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Overlap of each box with each, in 0..1: 1 - Hellinger's distance of their Gaussians (arXiv 2106.06072)."""
    x, y = boxes[:, 0], boxes[:, 1]
    wide, high = boxes[:, 2] ** 2 / 12, boxes[:, 3] ** 2 / 12
    cosine, sine = np.cos(angles), np.sin(angles)
    a, b, c = wide * cosine**2 + high * sine**2, wide * sine**2 + high * cosine**2, (wide - high) * cosine * sine
    sum_a, sum_b, sum_c = (each[:, None] + each[None, :] for each in (a, b, c))
    right, down = x[None, :] - x[:, None], y[None, :] - y[:, None]
    spread = sum_a * sum_b - sum_c**2
    far = (sum_a * down**2 + sum_b * right**2) / (spread + _TINY) / 4
    turned = -sum_c * right * down / (spread + _TINY) / 2
    own = np.sqrt(np.clip(a * b - c**2, 0, None))
    alike = np.log(spread / (4 * own[:, None] * own[None, :] + _TINY) + _TINY) / 2
    distance = np.clip(far + turned + alike, _TINY, 100)
    return np.asarray(1 - np.sqrt(1 - np.exp(-distance) + _TINY))
