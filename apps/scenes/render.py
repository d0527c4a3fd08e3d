"""Renders one frame: the lit backdrop, shadows, actors and furniture by distance, headlights, noise."""

from functools import lru_cache

import cv2
import numpy as np

from apps.scenes.actors import Pose, draw_actor, half_length
from apps.scenes.backdrop import backdrop, noise
from apps.scenes.brush import Brush, Image
from apps.scenes.light import Light, light_at
from apps.scenes.posts import draw_post
from apps.scenes.world import Actor, Post, actors_at, noise_offset, scene_of, sway


def render(camera: str, sequence: int, width: int = 640, height: int = 360, *, without: int | None = None) -> Image:
    """The camera's frame (height, width, 3), BGR, at a sequence. `without` omits the actor of that index."""
    light = light_at(camera, sequence)
    actors = [actor for index, actor in enumerate(actors_at(camera, sequence)) if index != without]
    frame = backdrop(camera, light, width, height).copy()
    for actor in actors:
        _shadow(frame, actor.pose(width, height), half_length(actor.look), light)
    brush = Brush(frame, light)
    for item in by_distance(actors, scene_of(camera).posts):
        if isinstance(item, Post):
            draw_post(brush, item, width, height, sway(sequence, item.tint))
        else:
            draw_actor(brush, item.look, item.pose(width, height))
    if light.night > 0.3:
        for actor in actors:
            if actor.look.kind in {"car", "truck"}:
                _headlight(frame, actor.pose(width, height), half_length(actor.look), light)
    return _noisy(frame, noise_offset(camera, sequence))


def by_distance(actors: list[Actor], posts: tuple[Post, ...]) -> list[Actor | Post]:
    """Actors and furniture, furthest first."""
    return sorted([*actors, *posts], key=lambda item: item.y)


def _shadow(frame: Image, pose: Pose, half: float, light: Light) -> None:
    strength = 0.45 * (1 - 0.6 * light.night)
    radii = (half * 1.02 * pose.unit, 0.07 * pose.unit)
    left, top = pose.x - radii[0], pose.y - radii[1]
    _blend(frame, _soft_spot(), (left, top, 2 * radii[0], 2 * radii[1]), strength)


def _headlight(frame: Image, pose: Pose, half: float, light: Light) -> None:
    x, y = pose.place(half * 0.93, 0.37)
    size = 0.5 * pose.unit
    _blend(frame, _soft_spot(), (x - size / 2, y - size / 2, size, size), -0.9 * light.night)


@lru_cache(maxsize=1)
def _soft_spot() -> Image:
    """A soft round spot, 255 in the middle."""
    rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
    spot: Image = (255 * np.clip(1.15 - np.hypot(rows, columns), 0, 1) / 1.15).astype(np.uint8)
    return spot


def _blend(frame: Image, spot: Image, box: tuple[float, float, float, float], strength: float) -> None:
    """Darkens (or, with a negative strength, lights up) the frame under a spot stretched to `box`."""
    x1, y1 = round(box[0]), round(box[1])
    x2, y2 = x1 + max(2, round(box[2])), y1 + max(2, round(box[3]))
    height, width = frame.shape[:2]
    left, top, right, bottom = max(0, x1), max(0, y1), min(width, x2), min(height, y2)
    if left >= right or top >= bottom:
        return
    stretched = cv2.resize(spot, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    part = stretched[top - y1 : bottom - y1, left - x1 : right - x1]
    under = frame[top:bottom, left:right]
    colour = cv2.merge((part, part, part))
    if strength < 0:
        cv2.add(under, cv2.convertScaleAbs(colour, alpha=-strength), dst=under)
    else:
        dark = cv2.multiply(under, colour, scale=strength / 255)
        cv2.subtract(under, dark, dst=under)


def _noisy(frame: Image, start: int) -> Image:
    height, width = frame.shape[:2]
    grain = noise(width, height)
    up, down = start % 61, (start // 61) % 59
    cv2.add(frame, grain[up : up + height, down : down + width], dst=frame)
    cv2.subtract(frame, grain[down : down + height, up : up + width], dst=frame)
    return frame
