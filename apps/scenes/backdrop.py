"""Paints the static part of a scene once per camera, and lights it once per light."""

import random
from functools import lru_cache

import cv2
import numpy as np

from apps.scenes.actors import shade
from apps.scenes.brush import Brush, Image
from apps.scenes.light import Colour, Light, palette
from apps.scenes.seed import seeded_random
from apps.scenes.world import Scene, scene_of

_WHITE = Light((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 0.0)
_WALLS = palette("a58c78 a06e5f a09b96 c3b4a0 5f646e 8c9682")
_GROUND: dict[str, Colour] = {"road": (98, 96, 94), "cycleway": (92, 104, 138), "pavement": (150, 156, 160)}
_GRASS: Colour = (70, 130, 95)


@lru_cache(maxsize=16)
def backdrop(camera: str, light: Light, width: int, height: int) -> Image:
    """The scene under a light, without actors and furniture. The array is shared: copy it before drawing."""
    day, glow = _paint(camera, width, height)
    lit = day.astype(np.float32) * np.array(light.gain, np.float32) + np.array(light.haze, np.float32)
    if light.night > 0:
        lit += glow.astype(np.float32) * light.night
    image: Image = np.clip(lit, 0, 255).astype(np.uint8)
    image.flags.writeable = False
    return image


@lru_cache(maxsize=32)
def noise(width: int, height: int) -> Image:
    """Sensor noise as twice the deviation, unsigned. It is larger than a frame, which takes a random part of it."""
    generator = np.random.default_rng(7)
    grain = generator.normal(0.0, 2.6, (height + 64, width + 64, 3))
    cells: Image = np.clip(np.abs(grain), 0, 12).astype(np.uint8)
    cells.flags.writeable = False
    return cells


@lru_cache(maxsize=32)
def _paint(camera: str, width: int, height: int) -> tuple[Image, Image]:
    scene, rng = scene_of(camera), seeded_random("backdrop", camera)
    day = np.zeros((height, width, 3), np.uint8)
    glow = np.zeros_like(day)
    brush, lamps = Brush(day, _WHITE), Brush(glow, _WHITE)
    _sky(day, rng)
    if scene.style == "street":
        _houses(brush, lamps, rng, scene, width=width, height=height)
    else:
        _hills(brush, rng, scene, width, height)
    _ground(brush, rng, scene, width, height)
    for post in scene.posts:
        if post.kind == "lamp":
            top = (post.x * width + 0.38 * post.unit * height, (post.y - 2.36 * post.unit) * height)
            foot = (post.x * width + 0.3 * post.unit * height, post.y * height)
            lamps.circle(top, 0.35 * post.unit * height, (40, 70, 90))
            lamps.ellipse(foot, (1.6 * post.unit * height, 0.4 * post.unit * height), (30, 60, 75))
    sigma = height / 36
    softened = cv2.GaussianBlur(glow, (0, 0), sigma)
    return _textured(day, rng), np.maximum(glow // 2, softened)


def _sky(day: Image, rng: random.Random) -> None:
    top = np.array((rng.uniform(190, 245), rng.uniform(150, 200), rng.uniform(110, 170)))
    low = np.array((rng.uniform(215, 240), rng.uniform(205, 230), rng.uniform(195, 225)))
    steps = np.linspace(0, 1, day.shape[0])[:, None]
    day[:] = (top * (1 - steps) + low * steps).astype(np.uint8)[:, None, :]


def _houses(brush: Brush, lamps: Brush, rng: random.Random, scene: Scene, *, width: int, height: int) -> None:
    foot = (scene.lanes[0].y - 0.05 + abs(scene.slope)) * height
    left = rng.uniform(-0.1, 0.0) * width
    while left < width:
        wide = rng.uniform(0.16, 0.34) * width
        top = rng.uniform(-0.1, 0.16) * height
        wall = shade(rng.choice(_WALLS), rng.uniform(0.7, 1.15))
        brush.rectangle((left, top), (left + wide, foot), wall)
        brush.rectangle((left, foot - 0.02 * height), (left + wide, foot), shade(wall, 0.7))
        columns, rows = max(2, round(wide / width * 22)), max(2, round((foot - top) / height * 9))
        cell = (wide / columns, (foot - top) / rows)
        pane = shade((150, 130, 110), rng.uniform(0.5, 1.1))
        for column in range(columns):
            for row in range(rows):
                x, y = left + (column + 0.25) * cell[0], top + (row + 0.25) * cell[1]
                corner = (x + 0.5 * cell[0], y + 0.55 * cell[1])
                brush.rectangle((x, y), corner, shade(pane, rng.uniform(0.85, 1.15)))
                if rng.random() < 0.3:
                    lamps.rectangle((x, y), corner, (60, 130, 170))
        left += wide + rng.choice((0.0, 0.0, 0.03)) * width


def _hills(brush: Brush, rng: random.Random, scene: Scene, width: int, height: int) -> None:
    horizon = scene.horizon * height
    for rise, tint in ((0.10, 1.25), (0.04, 1.0)):
        ridge = [(step / 8 * width, horizon - rise * height * rng.uniform(0.2, 1.0)) for step in range(9)]
        brush.polygon([(0.0, float(height)), *ridge, (float(width), float(height))], shade((95, 130, 110), tint))
    for _ in range(rng.randint(5, 12)):
        x, y = rng.uniform(0, 1) * width, horizon + rng.uniform(-0.02, 0.06) * height
        radius = rng.uniform(0.03, 0.07) * height
        brush.rectangle((x - radius * 0.12, y - radius), (x + radius * 0.12, y + radius), (50, 70, 90))
        brush.circle((x, y - radius * 1.4), radius, shade((60, 115, 75), rng.uniform(0.7, 1.1)))


def _ground(brush: Brush, rng: random.Random, scene: Scene, width: int, height: int) -> None:
    def strip(top: float, bottom: float, colour: Colour) -> None:
        lean = scene.slope / 2
        corners = ((0.0, top - lean), (1.0, top + lean), (1.0, bottom + lean), (0.0, bottom - lean))
        brush.polygon([(x * width, y * height) for x, y in corners], colour)

    base = _GROUND["pavement"] if scene.style == "street" else _GRASS
    base = shade(base, rng.uniform(0.85, 1.1))
    start = scene.lanes[0].y - 0.07 if scene.style == "street" else scene.horizon + 0.04
    strip(start, 1.3, base)
    for lane, following in zip(scene.lanes, (*scene.lanes[1:], None), strict=True):
        colour = shade(_GROUND[lane.surface], rng.uniform(0.9, 1.1))
        top, bottom = lane.y - 0.055, lane.y + 0.055
        if lane.surface == "road" and following is not None and following.surface == "road":
            bottom = following.y - 0.05
        strip(top, bottom, colour)
        if lane.surface == "road":
            strip(top - 0.008, top, shade(colour, 1.35))
            strip(bottom, bottom + 0.008, shade(colour, 1.3))
        if following is not None and following.surface == lane.surface == "road":
            for dash in range(9):
                x = (dash + 0.2) / 9
                y = bottom + scene.slope * (x - 0.5)
                ends = [(x * width, y * height), ((x + 0.05) * width, (y + scene.slope * 0.05) * height)]
                brush.line(ends, 0.009 * height, (215, 220, 222))


def _textured(day: Image, rng: random.Random) -> Image:
    generator = np.random.default_rng(rng.getrandbits(32))
    height, width = day.shape[:2]
    field = np.zeros((height, width), np.float32)
    for cells, weight in ((12, 0.05), (48, 0.04), (160, 0.035)):
        coarse = generator.normal(0, 1, (max(2, cells * height // width), cells)).astype(np.float32)
        field += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    grained: Image = np.clip(day * (1 + field[:, :, None]), 0, 255).astype(np.uint8)
    return grained
