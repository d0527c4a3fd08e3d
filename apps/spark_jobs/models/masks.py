"""Computes a segment's outline from a network's mask prototypes and an object's coefficients."""

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

DETAIL = 0.75
"""How far (input pixels) an outline may deviate from the mask's edge: a tenth of the points, the same shape."""


def outline(coefficients: Floats, prototypes: Floats, box: Floats, size: tuple[int, int]) -> Floats:
    """The outline of the mask's largest part inside the box: (points, 2) in input pixels; (0, 2) if there is none.

    `prototypes` are (M, height / 4, width / 4), `coefficients` M numbers, `size` the input's width and height.
    """
    logits = np.tensordot(coefficients, prototypes, axes=1).astype(np.float32)
    mask = (cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR) > 0).astype(np.uint8)
    columns, rows = np.arange(size[0]), np.arange(size[1])
    mask[:, (columns < box[0]) | (columns >= box[2])] = 0
    mask[(rows < box[1]) | (rows >= box[3])] = 0
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return np.empty((0, 2), dtype=np.float32)
    largest = max(contours, key=cv2.contourArea)
    return np.asarray(cv2.approxPolyDP(largest, DETAIL, closed=True).reshape(-1, 2), dtype=np.float32)
