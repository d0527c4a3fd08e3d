"""A camera's scene: its lanes, its street furniture, and the actors' positions at a sequence.

All of it is derived from the camera's name. Lengths are shares: x of the frame's width, y and sizes of its height.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from apps.scenes.actors import Kind, Look, Pose, half_length, random_look
from apps.scenes.seed import seeded_random

LANE_UNITS = 4096
"""Units per frame width for positions along a lane: integers, because sequences are too large for floats."""

_OUTSIDE = LANE_UNITS * 3 // 10

Surface: TypeAlias = Literal["road", "cycleway", "pavement"]
Furniture: TypeAlias = Literal["lamp", "tree", "sign", "bollard"]
Style: TypeAlias = Literal["street", "park", "highway"]

_KINDS_BY_SURFACE: dict[Surface, tuple[tuple[Kind, float], ...]] = {
    "road": (("car", 0.62), ("truck", 0.38)),
    "cycleway": (("bicycle", 0.72), ("dog", 0.28)),
    "pavement": (("person", 0.6), ("dog", 0.28), ("bicycle", 0.12)),
}

_LANES_BY_STYLE: dict[Style, tuple[tuple[Surface, float], ...]] = {
    "street": (("pavement", 0.49), ("road", 0.62), ("road", 0.78), ("pavement", 0.94)),
    "park": (("pavement", 0.52), ("cycleway", 0.70), ("pavement", 0.92)),
    "highway": (("road", 0.53), ("road", 0.74), ("cycleway", 0.94)),
}


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A line that actors follow one after the other, all at one speed."""

    index: int
    surface: Surface
    y: float
    slope: float
    heading: int
    speed: int
    gap: int
    jitter: int
    presence: float

    def ground(self, x: float) -> float:
        """The ground's y at x."""
        return self.y + self.slope * (x - 0.5)


@dataclass(frozen=True, kw_only=True)
class Post:
    """A piece of street furniture, which hides what passes behind it."""

    kind: Furniture
    x: float
    y: float
    unit: float
    tint: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The scene in a camera's view."""

    style: Style
    horizon: float
    slope: float
    lanes: tuple[Lane, ...]
    posts: tuple[Post, ...]


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A moving thing at one sequence, with its position as shares of the frame."""

    look: Look
    x: float
    y: float
    unit: float
    heading: int
    travelled: float

    def pose(self, width: int, height: int) -> Pose:
        """The actor's pose in a frame of this size."""
        return Pose(
            x=self.x * width,
            y=self.y * height,
            unit=self.unit * height,
            heading=self.heading,
            travelled=self.travelled * width,
        )


@lru_cache(maxsize=1024)
def scene_of(camera: str) -> Scene:
    """The scene of a camera."""
    rng = seeded_random("scene", camera)
    style: Style = rng.choices(("street", "park", "highway"), (0.6, 0.22, 0.18))[0]
    slope = rng.uniform(-0.05, 0.05)
    shift = rng.uniform(-0.02, 0.02)
    flip = rng.choice((-1, 1))
    lanes = []
    for index, (surface, y) in enumerate(_LANES_BY_STYLE[style]):
        fast = surface == "road"
        gap = rng.randint(2300, 3000) if fast else rng.randint(1400, 2000)
        lanes.append(
            Lane(
                index=index,
                surface=surface,
                y=y + shift,
                slope=slope,
                heading=flip * (1 if index % 2 else -1),
                speed=rng.randint(70, 130) if fast else rng.randint(34, 64),
                gap=gap,
                jitter=gap // 5,
                presence=rng.uniform(0.5, 0.85),
            )
        )
    posts = []
    for lane in lanes:
        for _ in range(rng.choice((0, 1, 1, 2))):
            x = rng.uniform(0.04, 0.96)
            y = lane.ground(x) - 0.055
            # A crown would hide whole actors, so trees stand behind the furthest lane.
            kind: Furniture = "tree" if lane.index == 0 else rng.choice(("lamp", "sign", "bollard"))
            posts.append(Post(kind=kind, x=x, y=y, unit=person_height(y), tint=rng.random()))
    horizon = rng.uniform(0.26, 0.36)
    return Scene(style=style, horizon=horizon, slope=slope, lanes=tuple(lanes), posts=tuple(posts))


def actors_at(camera: str, sequence: int) -> Iterator[Actor]:
    """The actors in or near the view at a sequence, furthest first."""
    for lane in scene_of(camera).lanes:
        head = lane.speed * sequence
        last = (head + _OUTSIDE) // lane.gap
        first = (head - LANE_UNITS - _OUTSIDE - lane.jitter) // lane.gap
        for slot in range(first, last + 1):
            look, jitter = _occupant(camera, lane, slot)
            if look is None:
                continue
            along = (head - slot * lane.gap - jitter) / LANE_UNITS
            x = along if lane.heading > 0 else 1.0 - along
            y = lane.ground(x)
            unit = person_height(y)
            reach = half_length(look) * unit * 9 / 16
            if -reach < x < 1.0 + reach:
                yield Actor(look=look, x=x, y=y, unit=unit, heading=lane.heading, travelled=along)


@lru_cache(maxsize=16384)
def _occupant(camera: str, lane: Lane, slot: int) -> tuple[Look | None, int]:
    rng = seeded_random("actor", camera, lane.index, slot)
    if rng.random() > lane.presence:
        return None, 0
    kinds, weights = zip(*_KINDS_BY_SURFACE[lane.surface], strict=True)
    return random_look(rng, rng.choices(kinds, weights)[0]), rng.randrange(lane.jitter)


def noise_offset(camera: str, sequence: int) -> int:
    """A random integer per frame: the start of its part of the sensor noise."""
    return (sequence * 2654435761 + int(seeded_random("flicker", camera).random() * 65536)) % 65521


def sway(sequence: int, tint: float) -> float:
    """How far a tree's crown leans at a sequence, in -1..1."""
    return math.sin((sequence % 1000) * math.tau / 40 + tint * 6.28)


def person_height(y: float) -> float:
    """The height of a person who stands on the ground at y."""
    return 0.19 + 0.28 * (y - 0.5)
