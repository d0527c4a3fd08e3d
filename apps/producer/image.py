"""Prepares a frame's image: size, masks, grey, JPEG. A camera's JPEG that needs none of these is sent as it came."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.producer.jpeg import Jpeg
from apps.producer.memory import DECODING, MIB, TooLarge
from apps.producer.settings import Camera
from apps.producer.sources import CorruptImage, OversizeImage

Image = NDArray[np.uint8]

_MASK_CELLS = 6
_TALLEST = 4
"""A frame is at most this many times as high as its camera's width: all who decode it later need the memory."""
_CHANNELS = 3
_LARGE = 32 * MIB
"""More than the pixels of a 4K picture: a JPEG that takes more is reduced while it is decoded."""
_REDUCTIONS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A JPEG with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def prepare(image: Image | Jpeg, camera: Camera, max_bytes: int) -> Encoded:
    """The image (pixels of height, width, BGR, or a camera's JPEG) as a JPEG by the camera's settings.

    A JPEG that is already as the settings ask, in at most `max_bytes`, is returned unchanged: decoding and encoding it
    again would be most of a producer's work, and lose detail. Raises CorruptImage if a JPEG does not decode,
    OversizeImage if that would take too much memory here or later, and ValueError if the image cannot be encoded.
    """
    if not isinstance(image, Jpeg):
        encoded = encode(image, camera)
    elif _sendable(image, camera, max_bytes):
        encoded = Encoded(jpeg=image.data, width=image.width, height=image.height)
    else:
        encoded = encode(_decode(image, camera.width), camera)
    if encoded.height > _TALLEST * camera.width:
        raise OversizeImage(f"{encoded.width} x {encoded.height} pixels: higher than {_TALLEST} times the width asked")
    return encoded


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


def _decode(jpeg: Jpeg, width: int) -> Image:
    """The pixels (height, width, BGR), reduced while they are decoded if they would take much memory otherwise.

    Raises OversizeImage if they take too much even so, and CorruptImage.
    """
    reduction = _reduction(jpeg, width)
    try:
        with DECODING.taken(_cost(jpeg, reduction)):
            image = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), _REDUCTIONS[reduction])
    except TooLarge as large:
        raise OversizeImage(f"{jpeg.width} x {jpeg.height} pixels: {large}") from None
    except cv2.error:
        # A size that OpenCV refuses; its message is long and has a path.
        image = None
    if image is None:
        raise CorruptImage(f"{len(jpeg.data)} bytes that do not decode")
    return np.asarray(image, dtype=np.uint8)


def _reduction(jpeg: Jpeg, width: int) -> int:
    """By how much to reduce a JPEG while it is decoded: a large one as far as it stays as wide as it is wanted."""
    # An Exif header may ask for a turn, so the shorter side may become the width.
    narrowest = min(jpeg.width, jpeg.height) if jpeg.exif else jpeg.width
    fitting = [each for each in _REDUCTIONS if each == 1 or narrowest // each >= width]
    return max(fitting) if _cost(jpeg, 1) > _LARGE else 1


def _cost(jpeg: Jpeg, reduction: int) -> int:
    """The bytes of memory that decoding a JPEG takes at most."""
    pixels = jpeg.width * jpeg.height
    reduced = -(-jpeg.width // reduction) * -(-jpeg.height // reduction)
    # OpenCV decodes into three bytes per pixel, and turns into a copy. Coefficients have two bytes each.
    return reduced * _CHANNELS * (2 if jpeg.exif else 1) + (2 * pixels * jpeg.components if jpeg.whole else 0)


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
