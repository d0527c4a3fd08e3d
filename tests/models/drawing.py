"""Draws balls, walking figures and paving stones, with their ground truth: outline, keypoints, rotated corners."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Kind = Literal["ball", "figure", "stone"]
KINDS: tuple[Kind, ...] = ("ball", "figure", "stone")

KEYPOINTS = ("head", "left hand", "right hand", "left foot", "right foot")
"""Left and right are the viewer's."""
MIRRORED = (0, 2, 1, 4, 3)
"""The index of each keypoint in the mirrored picture."""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object in a picture, in pixels. `keypoints` are of figures (5, 2), `corners` of stones (4, 2), in order."""

    kind: Kind
    outline: Points
    keypoints: Points | None = None
    corners: Points | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the outline."""
        (left, top), (right, bottom) = self.outline.min(axis=0), self.outline.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


def draw(
    random: np.random.Generator, width: int, height: int, kinds: tuple[Kind, ...], *, least: int, most: int
) -> tuple[Image, list[Thing]]:
    """A BGR picture with `least` to `most` things that barely overlap, and their ground truth."""
    picture = _background(random, width, height)
    things: list[Thing] = []
    wanted = int(random.integers(least, most + 1))
    for _ in range(40 * wanted):
        if len(things) == wanted:
            break
        size = float(random.uniform(0.26, 0.5)) * min(width, height)
        size *= (max(width, height) / min(width, height)) ** 0.3
        margin = size * 0.55
        if 2 * margin >= min(width, height):
            continue
        centre = np.array([random.uniform(margin, width - margin), random.uniform(margin, height - margin)], np.float32)
        kind = kinds[int(random.integers(len(kinds)))]
        # Drawn on a copy, because an overlap is only known once there is an outline.
        drawn = picture.copy()
        thing = _DRAW[kind](random, drawn, centre, size)
        if all(_shared(thing.box, other.box) < 0.08 for other in things):
            picture, things = drawn, [*things, thing]
    noise = random.normal(0, random.uniform(1, 5), picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), things


def _background(random: np.random.Generator, width: int, height: int) -> Image:
    coarse = random.uniform(50, 190, (int(random.integers(3, 9)), int(random.integers(3, 9)), 3))
    grey = coarse.mean(axis=2, keepdims=True)
    picture = cv2.resize((0.7 * grey + 0.3 * coarse).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = random.normal(0, 14, (height // 4 + 1, width // 4 + 1, 1)).astype(np.float32)
    picture += cv2.resize(fine, (width, height))[:, :, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _ball(random: np.random.Generator, picture: Image, centre: Points, size: float) -> Thing:
    radius = 0.42 * size
    colour = (random.uniform(0, 60), random.uniform(20, 110), random.uniform(190, 255))
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    outline = (centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)).astype(np.float32)
    _fill(picture, outline, colour)
    _fill(picture, centre + (outline - centre) * 0.25 - 0.35 * radius, (230, 230, 250))
    return Thing(kind="ball", outline=outline)


def _stone(random: np.random.Generator, picture: Image, centre: Points, size: float) -> Thing:
    angle = random.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)]) * size * 0.5
    across = np.array([-np.sin(angle), np.cos(angle)]) * size * 0.5 * random.uniform(0.35, 0.6)
    corners = np.stack([along + across, along - across, -along - across, -along + across]).astype(np.float32) + centre
    _fill(picture, corners, (random.uniform(0, 60), random.uniform(190, 245), random.uniform(200, 255)))
    _fill(picture, centre + (corners - centre) * 0.55, (random.uniform(20, 80), 120, 140))
    return Thing(kind="stone", outline=corners, corners=corners)


def _figure(random: np.random.Generator, picture: Image, centre: Points, size: float) -> Thing:
    def at(x: float, y: float) -> Points:
        return np.array([centre[0] + x * size, centre[1] + y * size], dtype=np.float32)

    swing = random.uniform(0.14, 0.28, 4)
    lift = random.uniform(-0.2, 0.18, 2)
    neck, hip = at(0, -0.2), at(0, 0.12)
    head = at(random.uniform(-0.04, 0.04), -0.34)
    hands = at(-swing[0] - 0.06, lift[0]), at(swing[1] + 0.06, lift[1])
    feet = at(-swing[2], 0.46), at(swing[3], 0.46)
    mask = np.zeros(picture.shape[:2], dtype=np.uint8)
    thick = max(2, round(0.11 * size))
    for start, end in ((neck, hip), (neck, hands[0]), (neck, hands[1]), (hip, feet[0]), (hip, feet[1]), (head, neck)):
        cv2.line(mask, _pixel(start), _pixel(end), 255, thick, cv2.LINE_AA)
    cv2.circle(mask, _pixel(head), max(2, round(0.13 * size)), 255, -1, cv2.LINE_AA)
    colour = np.array([random.uniform(190, 255), random.uniform(60, 140), random.uniform(0, 60)])
    share = mask[:, :, None] / 255
    picture[:] = (picture * (1 - share) + colour * share).astype(np.uint8)
    contours, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len).reshape(-1, 2).astype(np.float32) + 0.5
    return Thing(kind="figure", outline=outline, keypoints=np.stack([head, *hands, *feet]))


_DRAW = {"ball": _ball, "figure": _figure, "stone": _stone}


def _fill(picture: Image, polygon: Points, colour: tuple[float, float, float]) -> None:
    cv2.fillPoly(picture, [np.round(polygon * 16).astype(np.int32)], colour, cv2.LINE_AA, shift=4)


def _pixel(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _shared(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)
