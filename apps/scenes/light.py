"""Day and night: the brightness and cast of colours at a sequence."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from apps.scenes.seed import seeded_random

Colour: TypeAlias = tuple[float, float, float]
"""Blue, green, red in 0..255, as under a white light."""


def palette(colours: str) -> tuple[Colour, ...]:
    """Colours from their codes on the web, `RRGGBB` in hexadecimal, separated by spaces."""
    return tuple((blue, green, red) for red, green, blue in map(bytes.fromhex, colours.split()))


DAY_LENGTH = 720
"""Frames from one noon to the next."""

_LEVELS = 24
_NIGHT_GAIN = (0.62, 0.50, 0.45)
_DAWN_GAIN = (0.78, 0.90, 1.05)


@dataclass(frozen=True)
class Light:
    """`gain` and `haze` per channel: seen = colour * gain + haze. `night` runs from 0 at noon to 1 at midnight."""

    gain: Colour
    haze: Colour
    night: float

    def on(self, colour: Colour) -> Colour:
        """The colour as the camera sees it."""
        (b, g, r), (gain_b, gain_g, gain_r), (haze_b, haze_g, haze_r) = colour, self.gain, self.haze
        return b * gain_b + haze_b, g * gain_g + haze_g, r * gain_r + haze_r


def light_at(camera: str, sequence: int) -> Light:
    """The camera's light at a sequence, in steps coarse enough that lit backgrounds can be cached."""
    offset = int(seeded_random("light", camera).random() * DAY_LENGTH)
    turn = ((sequence + offset) % DAY_LENGTH) / DAY_LENGTH
    sun = math.cos(2 * math.pi * turn)
    return _light(camera, round((1 - sun) / 2 * _LEVELS))


@lru_cache(maxsize=4096)
def _light(camera: str, level: int) -> Light:
    rng = seeded_random("lens", camera)
    exposure = rng.uniform(0.9, 1.1)
    lens = tuple(exposure * rng.uniform(0.94, 1.06) for _ in range(3))
    fog = rng.uniform(0.05, 0.22) if rng.random() < 0.3 else 0.0
    turn = level / _LEVELS
    night = min(1.0, max(0.0, (turn - 0.42) / 0.22))
    dawn = max(0.0, 1.0 - abs(turn - 0.45) / 0.25) * 0.6
    gain = tuple(
        cast * ((1 - night) + night * dark) * ((1 - dawn) + dawn * warm) * (1 - fog)
        for cast, dark, warm in zip(lens, _NIGHT_GAIN, _DAWN_GAIN, strict=True)
    )
    haze = 205.0 * fog * (1 - 0.7 * night)
    return Light((gain[0], gain[1], gain[2]), (haze, haze, haze), night)
