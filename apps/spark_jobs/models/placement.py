"""Fits a frame into a network's input and maps coordinates back to the frame."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from apps.model_api.jpeg import Image
from apps.weights.contract import Fit

PADDING = 114
"""The grey around an image in Ultralytics' training."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """A frame of `frame` pixels in an input of `target` pixels (width, height), centred.

    letterbox shows the whole frame on grey and crop its middle without grey, both keeping the aspect ratio; stretch
    fills the input.
    """

    frame: tuple[int, int]
    target: tuple[int, int]
    fit: Fit = "letterbox"

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height of the whole frame in input pixels; larger than the input for a crop."""
        wide, high = self.target[0] / self.frame[0], self.target[1] / self.frame[1]
        if self.fit == "stretch":
            return self.target
        if self.fit == "crop":
            # Truncated, not rounded, as in torchvision.
            scale = max(wide, high)
            return max(self.target[0], int(self.frame[0] * scale)), max(self.target[1], int(self.frame[1] * scale))
        scale = min(wide, high)
        return max(1, round(self.frame[0] * scale)), max(1, round(self.frame[1] * scale))

    @property
    def offset(self) -> tuple[int, int]:
        """The frame's upper left corner in input pixels; negative for a crop."""
        if self.fit == "crop":
            return -round((self.inner[0] - self.target[0]) / 2), -round((self.inner[1] - self.target[1]) / 2)
        return (self.target[0] - self.inner[0]) // 2, (self.target[1] - self.inner[1]) // 2

    def draw(self, image: Image, canvas: Image) -> None:
        """Draw the frame, at any resolution, into the canvas (height, width, channels)."""
        (width, height), (left, top) = self.inner, self.offset
        if self.fit == "crop":
            canvas[:] = self._middle(image).reshape(canvas.shape)
            return
        canvas[:] = PADDING
        canvas[top : top + height, left : left + width] = _resized(image, (width, height)).reshape(height, width, -1)

    def _middle(self, image: Image) -> Image:
        """The part of the frame that a crop shows, at the input's size, by Pillow's filter, as in training.

        Only this part is resized: a frame of one column would become as high as it is narrow.
        """
        (left, right), (top, bottom) = (
            # Rounded up by a hair, an edge may lie outside the image, which Pillow refuses.
            (-offset / inner * pixels, min((target - offset) / inner * pixels, pixels))
            for offset, inner, target, pixels in zip(
                self.offset, self.inner, self.target, image.shape[1::-1], strict=True
            )
        )
        part = (left, top, right, bottom)
        resized = Pillow.fromarray(image).resize(self.target, Pillow.Resampling.BILINEAR, box=part)
        return np.asarray(resized, dtype=np.uint8)

    def to_frame(self, points: Floats, *, cut: bool = True) -> Floats:
        """Convert input pixels to frame pixels (x in even columns, y in odd); `cut` clips them to the frame."""
        pairs = points.shape[-1] // 2
        ratio = np.array([self.frame[0] / self.inner[0], self.frame[1] / self.inner[1]] * pairs, dtype=np.float32)
        moved = (points - np.array(self.offset * pairs, dtype=np.float32)) * ratio
        if cut:
            moved = np.clip(moved, 0, np.array(self.frame * pairs))
        return np.asarray(moved, dtype=np.float32)


def _resized(image: Image, size: tuple[int, int]) -> Image:
    """Resize with OpenCV's filter, as detectors are trained."""
    if image.shape[1::-1] == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
