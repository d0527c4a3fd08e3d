"""Whether nothing moved between two frames of a camera: more sensitive than the motion model, and less specific."""

import cv2
import numpy as np

from apps.messages import Frame
from apps.model_api.jpeg import Image
from apps.spark_jobs.models.thumbnail import thumbnail

LEAST_CHANGE = 8
"""The least change of a pixel, in grey levels of 255, however low the camera's noise."""
NOISE_FACTOR = 6.0
"""The least change of a pixel, in medians of the absolute change, which are the camera's noise in a still picture."""
MOST_NOISE = 3
"""With more noise than this median (grey levels), nothing small could be seen to move: such a frame is not still."""
LIGHT_CHANGE = 2.0
"""If the mean brightness changed by more grey levels than this, the frame is not still."""
STILL_PIXELS = 3
"""Fewer changed pixels than this are noise."""


def view_of(frame: Frame) -> Image:
    """What is kept of a frame to compare later ones with. Raises FrameError for an image that does not decode."""
    return np.asarray(cv2.blur(thumbnail(frame), (3, 3)), dtype=np.uint8)


def still(before: Image, after: Image) -> bool:
    """Whether nothing moved and the light stayed the same, between two views of the same shape."""
    if abs(float(before.mean()) - float(after.mean())) > LIGHT_CHANGE:
        return False
    change = np.bincount(cv2.absdiff(before, after).ravel(), minlength=256)
    noise = int(np.searchsorted(np.cumsum(change), before.size / 2))
    if noise > MOST_NOISE:
        return False
    limit = max(LEAST_CHANGE, int(NOISE_FACTOR * noise))
    return int(change[limit + 1 :].sum()) < STILL_PIXELS
