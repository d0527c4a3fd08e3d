"""Antialiased drawing with sub-pixel positions, in colour under a light or as a silhouette."""

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.scenes.light import Colour, Light

Image: TypeAlias = NDArray[np.uint8]
Point: TypeAlias = tuple[float, float]

_SHIFT = 4
_STEPS = 1 << _SHIFT


class Brush:
    """Draws on `canvas`; x runs right and y down, in pixels from `origin`.

    With a light, colours are shown under it. Without one, everything is drawn as 255 on a one-channel canvas.
    """

    def __init__(self, canvas: Image, light: Light | None, origin: Point = (0.0, 0.0)) -> None:
        self.canvas = canvas
        self._light = light
        self._x, self._y = origin

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fills a polygon, convex or not."""
        cv2.fillPoly(self.canvas, [self._subpixels(points)], self._lit(colour), cv2.LINE_AA, _SHIFT)

    def line(self, points: Sequence[Point], thickness: float, colour: Colour) -> None:
        """Strokes an open line through `points`."""
        width = max(1, round(thickness))
        cv2.polylines(self.canvas, [self._subpixels(points)], False, self._lit(colour), width, cv2.LINE_AA, _SHIFT)

    def circle(self, centre: Point, radius: float, colour: Colour, *, thickness: float | None = None) -> None:
        """Fills a circle, or strokes it if a thickness is given."""
        width = -1 if thickness is None else max(1, round(thickness))
        size = round(radius * _STEPS)
        cv2.circle(self.canvas, self._subpixel(centre), size, self._lit(colour), width, cv2.LINE_AA, _SHIFT)

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """Fills an upright ellipse."""
        axes = (round(radii[0] * _STEPS), round(radii[1] * _STEPS))
        cv2.ellipse(self.canvas, self._subpixel(centre), axes, 0, 0, 360, self._lit(colour), -1, cv2.LINE_AA, _SHIFT)

    def rectangle(self, corner: Point, opposite: Point, colour: Colour) -> None:
        """Fills an upright rectangle, given two opposite corners."""
        cv2.rectangle(
            self.canvas, self._subpixel(corner), self._subpixel(opposite), self._lit(colour), -1, cv2.LINE_8, _SHIFT
        )

    def _subpixel(self, point: Point) -> tuple[int, int]:
        return round((point[0] + self._x) * _STEPS), round((point[1] + self._y) * _STEPS)

    def _subpixels(self, points: Sequence[Point]) -> NDArray[np.int32]:
        return np.array([self._subpixel(point) for point in points], dtype=np.int32)

    def _lit(self, colour: Colour) -> tuple[float, ...]:
        return (255.0,) if self._light is None else self._light.on(colour)
