"""The figures of a step: the slope of a lag, percentiles, and the rule by which a rate is kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST_REACHED = 0.97
"""The share of the wanted rate that the producers must reach."""
STEEPEST = 0.02
"""The share of the rate by which a model may fall behind: 98 of 100 frames are processed as they come. Lags go up and
down with the batches, so that a regression over a minute is some tenths of a percent off."""
UNSTEADY = 0.15
"""Runs whose loops before and after differ by a larger share are not compared with others."""


@dataclass(frozen=True)
class Latency:
    """Percentiles in seconds, of so many measurements."""

    p50: float
    p95: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """The percentiles of the measurements; not a number where there is none."""
        return cls(percentile(seconds, 0.50), percentile(seconds, 0.95), percentile(seconds, 0.99), len(seconds))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed; not a number where there is none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line with the least squared distance from the points (x, y). Needs two different x."""
    middle_x, middle_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread: float = sum((x - middle_x) ** 2 for x, _ in points)
    together: float = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return together / spread


def faults(wanted: float, reached: float, slopes: Mapping[str, float]) -> list[str]:
    """Why a rate (frames/s) is not kept; empty if it is. `slopes` are the lags', in frames/s by model."""
    found = []
    if reached < LEAST_REACHED * wanted:
        found.append(f"{reached:.1f} of {wanted:g} frames/s captured")
    found += [f"{model} falls behind by {rise:.1f}/s" for model, rise in slopes.items() if rise > STEEPEST * wanted]
    return found


def differ(before: float, after: float) -> float:
    """The share by which two measurements differ, of the larger one."""
    return abs(before - after) / max(before, after)
