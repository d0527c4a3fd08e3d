"""The exact ground truth of a frame: label and box of everything that is visible enough to count."""

from dataclasses import dataclass

import numpy as np

from apps.scenes.actors import Kind, draw_actor
from apps.scenes.brush import Brush, Image
from apps.scenes.posts import draw_post
from apps.scenes.render import by_distance
from apps.scenes.world import Actor, Post, actors_at, scene_of, sway

MIN_VISIBLE = 0.5
"""An actor counts when at least this share of its silhouette is inside the frame and not hidden."""

MIN_SIDE = 10.0
"""An actor counts when its visible part is at least this wide and high, in pixels of a frame 360 high."""

_WIDTH, _HEIGHT = 640, 360
_MARGIN = 320


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One actor in a frame: `box` is x1, y1, x2, y2 of its visible pixels, `visible` the visible share of it.

    One that does not count is too small or hidden to be required, but is no false positive either: scores ignore it.
    """

    label: Kind
    box: tuple[float, float, float, float]
    visible: float
    counts: bool
    index: int


def truth(camera: str, sequence: int, width: int = 640, height: int = 360) -> tuple[Truth, ...]:
    """Everything that counts in `render(camera, sequence, width, height)`."""
    return tuple(found for found in all_actors(camera, sequence, width, height) if found.counts)


def all_actors(camera: str, sequence: int, width: int = 640, height: int = 360) -> tuple[Truth, ...]:
    """Every actor with at least one visible pixel, whether it counts or not."""
    actors = list(actors_at(camera, sequence))
    items = by_distance(actors, scene_of(camera).posts)
    owners = np.zeros((_HEIGHT, _WIDTH + 2 * _MARGIN), np.int16)
    sizes: dict[int, int] = {}
    for number, item in enumerate(items, start=1):
        shape = _silhouette(item, sequence)
        sizes[number] = int(np.count_nonzero(shape))
        owners[shape[:_HEIGHT]] = number
    frame = owners[:, _MARGIN : _MARGIN + _WIDTH]
    found = []
    for number, item in enumerate(items, start=1):
        if isinstance(item, Post):
            continue
        rows, columns = np.nonzero(frame == number)
        if not rows.size:
            continue
        across, down = width / _WIDTH, height / _HEIGHT
        left, right = (float(edge) * across for edge in (columns.min(), columns.max() + 1))
        top, bottom = (float(edge) * down for edge in (rows.min(), rows.max() + 1))
        share = rows.size / sizes[number]
        index = next(place for place, actor in enumerate(actors) if actor is item)
        counts = share >= MIN_VISIBLE and min(right - left, bottom - top) >= MIN_SIDE * down
        found.append(
            Truth(label=item.look.kind, box=(left, top, right, bottom), visible=share, counts=counts, index=index)
        )
    return tuple(found)


def _silhouette(item: Actor | Post, sequence: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    canvas: Image = np.zeros((_HEIGHT + 60, _WIDTH + 2 * _MARGIN), np.uint8)
    brush = Brush(canvas, None, origin=(float(_MARGIN), 0.0))
    if isinstance(item, Post):
        draw_post(brush, item, _WIDTH, _HEIGHT, sway(sequence, item.tint))
    else:
        draw_actor(brush, item.look, item.pose(_WIDTH, _HEIGHT))
    filled: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = canvas >= 128
    return filled
