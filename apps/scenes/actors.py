"""Draws the moving things in a scene, from a random look and the distance that each has moved.

An actor stands on the ground at (0, 0). It is drawn in units of `unit`, the height in pixels of an adult at its
distance, with x ahead and y up, and mirrored when it moves to the left.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from apps.scenes.brush import Brush, Point
from apps.scenes.light import Colour, palette

Kind: TypeAlias = Literal["person", "bicycle", "car", "truck", "dog"]

LABELS: tuple[Kind, ...] = ("person", "bicycle", "car", "truck", "dog")
"""Every label of the ground truth, in the order of the trained model's classes. A bicycle includes its rider."""

_PAINT = palette("be2828 1e5abe ebebeb 403c3c b4b2af 3c9632 e1aa1e 1e3c78 d76e3c 823c96")
_CLOTH = palette("c83232 286ec8 46aa3c ebbe1e e6e6e6 322d2d a046aa f07828 5abebe 7d7878")
_TROUSERS = palette("2d466e 373232 785f46 828282 232d3c")
_SKIN = palette("e6b996 cd966e a56e4b 734b32")
_HAIR = palette("2d231e 6e4628 be965a 969696 82321e")
_FUR = palette("8c552d 28231e dcc8aa a56e46 8c8782")
_RUBBER: Colour = (32, 30, 30)
_GLASS: Colour = (125, 105, 85)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker or lighter."""
    blue, green, red = colour
    return min(255.0, blue * factor), min(255.0, green * factor), min(255.0, red * factor)


@dataclass(frozen=True, kw_only=True)
class Look:
    """An actor's appearance. `gait` and `bulk` are in 0..1; their meaning depends on the kind."""

    kind: Kind
    size: float
    variant: int
    gait: float
    bulk: float
    main: Colour
    second: Colour
    skin: Colour
    hair: Colour


@dataclass(frozen=True, kw_only=True)
class Pose:
    """An actor's position in pixels: `x`, `y` of its ground point, its `unit`, its direction, the distance moved."""

    x: float
    y: float
    unit: float
    heading: int
    travelled: float

    def place(self, ahead: float, up: float) -> Point:
        """Convert a point from the actor's units to pixels."""
        return self.x + self.heading * ahead * self.unit, self.y - up * self.unit

    def places(self, *points: Point) -> list[Point]:
        """`place` of every point."""
        return [self.place(ahead, up) for ahead, up in points]


def random_look(rng: random.Random, kind: Kind) -> Look:
    """A random look of a kind."""
    main = _PAINT if kind in {"car", "truck"} else _FUR if kind == "dog" else _CLOTH
    second = _TROUSERS if kind in {"person", "bicycle"} else _PAINT
    return Look(
        kind=kind,
        size=rng.uniform(0.92, 1.1),
        variant=rng.randrange(12),
        gait=rng.random(),
        bulk=rng.random(),
        main=shade(rng.choice(main), rng.uniform(0.8, 1.15)),
        second=shade(rng.choice(second), rng.uniform(0.8, 1.15)),
        skin=rng.choice(_SKIN),
        hair=rng.choice(_HAIR),
    )


def half_length(look: Look) -> float:
    """Half of the actor's length along its lane, in units."""
    return {"person": 0.3, "bicycle": 0.62, "car": 0.95, "truck": 1.35, "dog": 0.6}[look.kind] * look.size


def draw_actor(brush: Brush, look: Look, pose: Pose) -> None:
    """Draws one actor."""
    _DRAW[look.kind](brush, look, replace(pose, unit=pose.unit * look.size))


def _person(brush: Brush, look: Look, pose: Pose) -> None:
    unit = pose.unit
    limb = unit * (0.085 + 0.03 * look.bulk)
    stride = math.sin(pose.travelled / unit * 5.2 + look.gait * 6.28)
    bob = 0.012 * abs(stride)
    hip, shoulder = 0.47 + bob, 0.80 + bob
    wide = 0.085 + 0.05 * look.bulk
    far, near = shade(look.second, 0.75), look.second
    for swing, colour in ((-stride, far), (stride, near)):
        knee = (swing * 0.10 + 0.03, 0.25)
        foot = (swing * 0.19, 0.035 + 0.03 * max(0.0, -swing))
        brush.line(pose.places((0.0, hip), knee, foot), limb, colour)
        brush.line(pose.places(foot, (foot[0] + 0.07, foot[1] - 0.005)), limb * 0.7, _RUBBER)
    _arm(brush, look, pose, swing=-stride, shoulder=shoulder, width=limb * 0.8)
    if look.variant % 4 == 0:
        brush.polygon(
            pose.places((-wide, shoulder), (-wide - 0.11, 0.74), (-wide - 0.1, 0.52), (-wide, 0.5)), look.hair
        )
    coat = 0.30 if look.variant % 3 == 0 else hip - 0.03
    brush.polygon(
        pose.places((-wide, shoulder), (wide, shoulder), (wide * 1.15, 0.6), (wide, coat), (-wide, coat), (-wide, 0.6)),
        look.main,
    )
    brush.line(pose.places((0.0, shoulder), (0.02, 0.86)), limb * 0.7, look.skin)
    _arm(brush, look, pose, swing=stride, shoulder=shoulder, width=limb * 0.8)
    _head(brush, look, pose, (0.02, 0.925 + bob))


def _arm(brush: Brush, look: Look, pose: Pose, *, swing: float, shoulder: float, width: float) -> None:
    elbow = (swing * 0.07 - 0.03, shoulder - 0.17)
    hand = (swing * 0.16 + 0.02, shoulder - 0.31)
    brush.line(pose.places((0.0, shoulder - 0.03), elbow, hand), width, shade(look.main, 0.8))
    brush.circle(pose.place(*hand), width * 0.55, look.skin)


def _head(brush: Brush, look: Look, pose: Pose, centre: Point) -> None:
    ahead, up = centre
    brush.circle(pose.place(ahead - 0.012, up + 0.012), 0.078 * pose.unit, look.hair)
    brush.circle(pose.place(ahead + 0.012, up - 0.012), 0.062 * pose.unit, look.skin)
    if look.variant % 5 == 0:
        brush.line(pose.places((ahead - 0.08, up + 0.045), (ahead + 0.12, up + 0.045)), 0.05 * pose.unit, look.main)


def _bicycle(brush: Brush, look: Look, pose: Pose) -> None:
    unit = pose.unit
    frame = shade(look.main, 0.9) if look.variant % 2 else (40.0, 40.0, 170.0)
    tube = 0.035 * unit
    turn = pose.travelled / unit * 4.0 + look.gait * 6.28
    back, front, crank = (-0.34, 0.22), (0.36, 0.22), (-0.02, 0.24)
    seat, bar = (-0.14, 0.58), (0.27, 0.62)
    for hub in (back, front):
        brush.circle(pose.place(*hub), 0.205 * unit, _RUBBER, thickness=0.045 * unit)
        for spoke in (turn, turn + math.pi / 2):
            reach = (0.19 * math.cos(spoke), 0.19 * math.sin(spoke))
            ends = pose.places((hub[0] - reach[0], hub[1] - reach[1]), (hub[0] + reach[0], hub[1] + reach[1]))
            brush.line(ends, 1, (150, 150, 150))
    hip = (-0.12, 0.66)
    _pedal(brush, look, pose, hip=hip, crank=crank, turn=turn + math.pi, light=0.75)
    brush.line(pose.places(back, crank, bar, seat, crank), tube, frame)
    brush.line(pose.places(seat, back), tube, frame)
    brush.line(pose.places(front, bar, (0.33, 0.66)), tube, frame)
    _pedal(brush, look, pose, hip=hip, crank=crank, turn=turn, light=1.0)
    shoulder = (0.10, 0.98)
    brush.line(pose.places(hip, shoulder), unit * (0.15 + 0.04 * look.bulk), look.main)
    brush.line(pose.places(shoulder, (0.20, 0.78), (0.31, 0.68)), 0.07 * unit, shade(look.main, 0.8))
    _head(brush, look, pose, (0.17, 1.10))
    if look.variant % 3:
        brush.ellipse(pose.place(0.15, 1.15), (0.09 * unit, 0.045 * unit), look.second)


def _pedal(brush: Brush, look: Look, pose: Pose, *, hip: Point, crank: Point, turn: float, light: float) -> None:
    foot = (crank[0] + 0.085 * math.cos(turn), crank[1] - 0.085 * math.sin(turn))
    knee = ((hip[0] + foot[0]) / 2 + 0.17, (hip[1] + foot[1]) / 2 + 0.06)
    brush.line(pose.places(hip, knee, foot), 0.085 * pose.unit, shade(look.second, light))
    brush.line(pose.places(foot, (foot[0] + 0.08, foot[1])), 0.06 * pose.unit, _RUBBER)


_CAR_ROOFS: tuple[tuple[Point, ...], ...] = (
    # Saloon, hatchback, van, pick-up: the outline from the boot over the roof to the bonnet.
    ((-0.84, 0.46), (-0.62, 0.47), (-0.40, 0.74), (0.16, 0.75), (0.44, 0.48), (0.82, 0.43)),
    ((-0.78, 0.46), (-0.68, 0.72), (0.14, 0.77), (0.42, 0.50), (0.78, 0.45)),
    ((-0.84, 0.50), (-0.80, 0.88), (0.30, 0.90), (0.58, 0.56), (0.84, 0.50)),
    ((-0.86, 0.48), (-0.18, 0.48), (-0.12, 0.80), (0.24, 0.80), (0.46, 0.52), (0.86, 0.46)),
)
_CAR_GLASS: tuple[tuple[tuple[Point, ...], ...], ...] = (
    (
        ((-0.52, 0.49), (-0.36, 0.69), (-0.12, 0.70), (-0.12, 0.49)),
        ((-0.07, 0.49), (-0.07, 0.70), (0.13, 0.70), (0.33, 0.49)),
    ),
    (
        ((-0.66, 0.49), (-0.61, 0.68), (-0.18, 0.71), (-0.18, 0.49)),
        ((-0.12, 0.49), (-0.12, 0.71), (0.11, 0.72), (0.32, 0.50)),
    ),
    (((0.02, 0.57), (0.02, 0.83), (0.27, 0.84), (0.46, 0.57)),),
    (((-0.05, 0.53), (-0.04, 0.75), (0.21, 0.75), (0.37, 0.53)),),
)


def _car(brush: Brush, look: Look, pose: Pose) -> None:
    unit = pose.unit
    shape = look.variant % 4
    body, stretch = look.main, 0.96 + 0.12 * look.bulk

    def spread(points: Sequence[Point]) -> list[Point]:
        return [pose.place(ahead * stretch, up) for ahead, up in points]

    brush.polygon(spread([(-0.86, 0.16), *_CAR_ROOFS[shape], (0.88, 0.30), (0.86, 0.15)]), body)
    brush.polygon(spread([(-0.86, 0.16), (-0.86, 0.27), (0.88, 0.27), (0.86, 0.15)]), shade(body, 0.68))
    for pane in _CAR_GLASS[shape]:
        brush.polygon(spread(pane), _GLASS)
    if look.variant == 5:
        brush.line(spread([(-0.8, 0.38), (0.8, 0.36)]), 0.05 * unit, look.second)
    brush.line(spread([(-0.1, 0.22), (-0.1, 0.47)]), 1, shade(body, 0.55))
    brush.rectangle(pose.place(0.80 * stretch, 0.42), pose.place(0.88 * stretch, 0.34), (215, 240, 250))
    brush.rectangle(pose.place(-0.87 * stretch, 0.43), pose.place(-0.80 * stretch, 0.34), (40, 30, 200))
    for hub in (-0.52, 0.54):
        _wheel(brush, pose, (hub * stretch, 0.155), 0.155)


def _truck(brush: Brush, look: Look, pose: Pose) -> None:
    unit = pose.unit
    long = 1.0 + 0.12 * look.bulk
    tall = 1.22 + 0.16 * look.gait
    cab, load = look.main, shade(look.second, 1.0) if look.variant % 3 else (222.0, 226.0, 228.0)
    brush.rectangle(pose.place(-1.18 * long, 0.32), pose.place(1.16 * long, 0.18), (52, 50, 50))
    brush.rectangle(pose.place(-1.2 * long, tall), pose.place(0.52 * long, 0.3), load)
    brush.rectangle(pose.place(-1.2 * long, 0.42), pose.place(0.52 * long, 0.3), shade(load, 0.7))
    if look.variant % 2:
        middle = (tall + 0.36) / 2
        brush.rectangle(pose.place(-0.95 * long, middle + 0.16), pose.place(0.2 * long, middle - 0.14), cab)
    else:
        for rib in (-0.8, -0.4, 0.0):
            brush.line(pose.places((rib * long, 0.42), (rib * long, tall)), 1, shade(load, 0.75))
    top = 1.02 + 0.1 * look.gait
    nose = [(0.58, 0.24), (0.58, top), (0.98, top), (1.14, 0.66), (1.18, 0.24)]
    brush.polygon([pose.place(ahead * long, up) for ahead, up in nose], cab)
    pane = [(0.76, 0.64), (0.76, top - 0.08), (0.95, top - 0.08), (1.07, 0.64)]
    brush.polygon([pose.place(ahead * long, up) for ahead, up in pane], _GLASS)
    brush.rectangle(pose.place(1.10 * long, 0.42), pose.place(1.18 * long, 0.33), (215, 240, 250))
    for hub in (-0.92, -0.52, 0.84):
        _wheel(brush, pose, (hub * long, 0.18), 0.18)
    brush.line(pose.places((-0.36, 0.26), (0.5, 0.26)), 0.04 * unit, (90, 90, 92))


def _wheel(brush: Brush, pose: Pose, hub: Point, radius: float) -> None:
    centre = pose.place(*hub)
    brush.circle(centre, radius * pose.unit, _RUBBER)
    brush.circle(centre, radius * 0.58 * pose.unit, (165, 165, 168))
    turn = pose.travelled / (radius * pose.unit)
    reach = (radius * 0.5 * math.cos(turn), radius * 0.5 * math.sin(turn))
    brush.line(
        pose.places((hub[0] - reach[0], hub[1] + reach[1]), (hub[0] + reach[0], hub[1] - reach[1])), 2, (80, 80, 84)
    )


def _dog(brush: Brush, look: Look, pose: Pose) -> None:
    unit = pose.unit
    fur = look.main
    pace = pose.travelled / unit * 7.0 + look.gait * 6.28
    for hip, phase, light in ((-0.27, 0.0, 0.7), (0.22, math.pi, 0.7), (-0.24, math.pi, 1.0), (0.26, 0.0, 1.0)):
        swing = math.sin(pace + phase) * 0.10
        leg = pose.places((hip, 0.30), (hip + swing * 0.4 - 0.02, 0.16), (hip + swing, 0.03))
        brush.line(leg, 0.075 * unit, shade(fur, light))
    wag = 0.05 * math.sin(pace * 1.7)
    brush.line(pose.places((-0.32, 0.40), (-0.44, 0.50 + wag), (-0.50, 0.60 + wag)), 0.05 * unit, fur)
    belly = 0.10 + 0.03 * look.bulk
    brush.line(pose.places((-0.26, 0.36), (0.22, 0.37)), 2 * belly * unit, fur)
    if look.variant % 3 == 0:
        brush.ellipse(pose.place(-0.08, 0.38), (0.12 * unit, 0.07 * unit), (225, 230, 235))
    brush.line(pose.places((0.26, 0.40), (0.40, 0.54)), 0.13 * unit, fur)
    if look.variant % 2:
        brush.line(pose.places((0.29, 0.47), (0.36, 0.43)), 0.04 * unit, look.second)
    brush.circle(pose.place(0.43, 0.57), 0.105 * unit, fur)
    brush.line(pose.places((0.46, 0.55), (0.60, 0.52)), 0.085 * unit, shade(fur, 1.1))
    brush.circle(pose.place(0.62, 0.535), 0.03 * unit, _RUBBER)
    brush.polygon(pose.places((0.34, 0.64), (0.44, 0.66), (0.36, 0.46)), shade(fur, 0.6))


_DRAW = {"person": _person, "bicycle": _bicycle, "car": _car, "truck": _truck, "dog": _dog}
