"""Fitting a frame into a model's input and taking the boxes back."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from apps.spark_jobs.jpeg import Image

PADDING = 114
"""The grey that Ultralytics trains with around an image."""


@dataclass(frozen=True)
class Letterbox:
    """A frame of `frame` pixels inside an input of `target` pixels (width, height), centred, shape kept."""

    frame: tuple[int, int]
    target: tuple[int, int]

    @property
    def scale(self) -> float:
        """Input pixels per frame pixel."""
        return min(self.target[0] / self.frame[0], self.target[1] / self.frame[1])

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height of the frame inside the input."""
        return max(1, round(self.frame[0] * self.scale)), max(1, round(self.frame[1] * self.scale))

    @property
    def offset(self) -> tuple[int, int]:
        """Where the frame's upper left corner lies in the input."""
        return (self.target[0] - self.inner[0]) // 2, (self.target[1] - self.inner[1]) // 2

    def fit(self, image: Image, canvas: Image) -> None:
        """Draw the image (the frame at any resolution) into the canvas (height, width, channels)."""
        (width, height), (left, top) = self.inner, self.offset
        if image.shape[1::-1] != (width, height):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        canvas[:] = PADDING
        canvas[top : top + height, left : left + width] = image

    def to_frame(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes (x1, y1, x2, y2 a row) from input pixels to frame pixels, cut at the frame's edges."""
        ratio = np.array([self.frame[0] / self.inner[0], self.frame[1] / self.inner[1]] * 2, dtype=np.float32)
        moved = (boxes - np.array(self.offset * 2, dtype=np.float32)) * ratio
        return np.asarray(np.clip(moved, 0, np.array(self.frame * 2)), dtype=np.float32)
