"""Prepares a frame's image: size, masks, grey, JPEG. A camera's JPEG that needs none of these is sent as it came."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.producer.jpeg import Jpeg
from apps.producer.settings import Camera
from apps.producer.sources import CorruptImage

Image = NDArray[np.uint8]

_MASK_CELLS = 6


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A JPEG with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def prepare(image: Image | Jpeg, camera: Camera, max_bytes: int) -> Encoded:
    """The image (pixels of height, width, BGR, or a camera's JPEG) as a JPEG by the camera's settings.

    A JPEG that is already as the settings ask, in at most `max_bytes`, is returned unchanged: decoding and encoding it
    again would be most of a producer's work, and lose detail. Raises CorruptImage if a JPEG does not decode, and
    ValueError if the image cannot be encoded.
    """
    if not isinstance(image, Jpeg):
        return encode(image, camera)
    if _sendable(image, camera, max_bytes):
        return Encoded(jpeg=image.data, width=image.width, height=image.height)
    return encode(_decode(image), camera)


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


def _sendable(jpeg: Jpeg, camera: Camera, max_bytes: int) -> bool:
    """Whether the JPEG is already as the camera's settings ask."""
    right_colours = jpeg.grey or not camera.grey
    small = jpeg.width <= camera.width and len(jpeg.data) <= max_bytes
    return jpeg.plain and right_colours and small and not camera.masks


def _decode(jpeg: Jpeg) -> Image:
    image = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise CorruptImage(f"{len(jpeg.data)} bytes that do not decode")
    return np.asarray(image, dtype=np.uint8)


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
