"""Chooses one box for each object (measurements in docs/adr/0017-weights.md)."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]

OVERLAP = 0.5
"""Two boxes of one class with a greater intersection over union are one object."""

INSIDE, PART = 0.85, 0.1
"""A box with at least the share INSIDE of its area within a better box of the same class is a part of that object, such
as a head. If it is smaller than PART of the better box, it is a separate object far behind."""

KIND_OVERLAP = 0.6
"""Two boxes of one kind, such as a car and a truck, with a greater intersection over union are one object."""

_TINY = 1e-7


def suppress(boxes: Floats, classes: Numbers, kinds: Numbers) -> list[int]:
    """Indices of the boxes to keep, by greedy non-maximum suppression.

    `boxes` are (N, 4), rows of x1, y1, x2, y2, best first. `kinds` (N) are equal for classes that networks confuse.
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
    """The same for oriented boxes (rows of centre x, centre y, width, height, best first), by probiou as in YOLO.

    A box is dropped if any better one of its class overlaps it, whether that one is kept or not (Fast NMS).
    """
    overlap = np.triu(_probiou(boxes.astype(np.float64), angles.astype(np.float64)), k=1)
    same = classes[:, None] == classes[None, :]
    return [int(index) for index in np.flatnonzero(~((overlap > OVERLAP) & same).any(axis=0))]


def _probiou(boxes: npt.NDArray[np.float64], angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pairwise overlap (N, N) in 0..1: 1 - Hellinger distance of the boxes' Gaussians (arXiv 2106.06072)."""
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
