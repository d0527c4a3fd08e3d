"""Prepares a frame's image: size, masks, grey, JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.producer.settings import Camera

Image = NDArray[np.uint8]

_MASK_CELLS = 6


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A JPEG with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def encode(image: Image, camera: Camera) -> Encoded:
    """The image (height, width, BGR) as a JPEG by the camera's settings. Raises ValueError if it cannot be encoded."""
    prepared = to_width(image, camera.width)
    if camera.masks:
        prepared = masked(prepared, camera.masks)
    if camera.grey:
        prepared = np.asarray(cv2.cvtColor(prepared, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    done, jpeg = cv2.imencode(".jpg", prepared, [cv2.IMWRITE_JPEG_QUALITY, camera.jpeg_quality])
    if not done:
        raise ValueError("the image cannot be encoded")
    height, width = prepared.shape[:2]
    return Encoded(jpeg=jpeg.tobytes(), width=width, height=height)


def to_width(image: Image, width: int) -> Image:
    """The image reduced to `width` at the same aspect ratio. A narrower image is not enlarged."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def masked(image: Image, masks: tuple[tuple[float, float, float, float], ...]) -> Image:
    """A copy with each rectangle (x1, y1, x2, y2 as shares of the image) blurred beyond recognition."""
    covered = image.copy()
    height, width = image.shape[:2]
    for x1, y1, x2, y2 in masks:
        rows = slice(int(y1 * height), max(int(y1 * height) + 1, round(y2 * height)))
        columns = slice(int(x1 * width), max(int(x1 * width) + 1, round(x2 * width)))
        part = covered[rows, columns]
        if part.size:
            coarse = cv2.resize(part, (_MASK_CELLS, _MASK_CELLS), interpolation=cv2.INTER_AREA)
            covered[rows, columns] = cv2.resize(coarse, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return covered
