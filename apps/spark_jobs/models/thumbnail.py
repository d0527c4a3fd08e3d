"""Small grey pictures of frames, by which frames are compared."""

import cv2
import numpy as np

from apps.messages import Frame
from apps.model_api.jpeg import Image, decode

THUMBNAIL = (160, 160)
"""Frames are compared at about this size: it shows all motion that matters, and decoding to it is cheap."""


def thumbnail(frame: Frame) -> Image:
    """The frame in grey, (height, width), within THUMBNAIL. Raises FrameError for an image that does not decode."""
    image = decode(frame, THUMBNAIL, grey=True)
    scale = min(THUMBNAIL[0] / image.shape[1], THUMBNAIL[1] / image.shape[0], 1.0)
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    if size != image.shape[1::-1]:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return image
