"""Slopes, percentiles, and when a rate is kept."""

import math

import pytest

from tests.bench.frames.figures import Latency, differ, faults, percentile, slope


def test_a_slope_is_that_of_the_best_line() -> None:
    assert slope([(0, 3), (1, 5), (2, 7)]) == pytest.approx(2)
    assert slope([(0, 10), (10, 10), (20, 10)]) == 0
    # A saw tooth of the batches, which does not rise.
    assert abs(slope([(second, second % 2 * 80) for second in range(60)])) < 0.1


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.99) == 7
    assert math.isnan(percentile([], 0.5))
    assert Latency.of([3.0, 1.0, 2.0]) == Latency(p50=2, p95=3, p99=3, count=3)


def test_a_rate_is_kept_when_it_is_reached_and_no_model_falls_behind() -> None:
    assert faults(40, 39.5, {"objects": 0.7, "motion": -3}) == []
    assert faults(40, 38, {"objects": 0}) == ["38.0 of 40 frames/s captured"]
    assert faults(80, 80, {"objects": 41.5, "motion": 0.1}) == ["objects falls behind by 41.5/s"]


def test_a_difference_is_a_share_of_the_larger() -> None:
    assert differ(200, 170) == pytest.approx(0.15)
    assert differ(170, 200) == pytest.approx(0.15)
