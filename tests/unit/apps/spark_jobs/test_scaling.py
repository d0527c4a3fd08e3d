"""The rules that add and remove executors, on a job simulated batch by batch."""

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from apps.spark_jobs.scaling import Batch, Limits, Scaler
from tests.bench.simulated import Load, Moment, spark_job

LIMITS = Limits(minimum=1, maximum=6, target_lag_seconds=10, cool_down_seconds=60)
RATE = 20.0
"""Frames per second of one executor."""

MOST_ROWS = 200
"""The most rows of one batch, per task."""


def job(
    load: Load,
    seconds: float,
    *,
    waiting: float = 0,
    limits: Limits = LIMITS,
    rate: Callable[[int], float] = lambda executors: RATE * executors,
    overhead: float = 0.3,
) -> Iterator[Moment]:
    return spark_job(
        load,
        seconds,
        limits=limits,
        rate=rate,
        most_rows=lambda executors: MOST_ROWS * executors,
        overhead=overhead,
        waiting=waiting,
    )


def steps(moments: list[Moment]) -> list[int]:
    """The successive numbers of executors, without repetitions."""
    return [moments[0].pods, *(b.pods for a, b in pairwise(moments) if a.pods != b.pods)]


def test_executors_follow_the_load_and_go_again() -> None:
    seen = list(job(lambda at: 60 if 100 <= at < 400 else 5, 1000))
    high = [each for each in seen if 200 <= each.at < 400]
    assert all(each.pods >= 4 for each in high)
    assert max(each.waiting for each in high[20:]) / 60 < LIMITS.target_lag_seconds
    assert seen[-1].pods == 1
    # Up at once, then down one by one without going up again.
    numbers = steps(seen)
    top = numbers.index(max(numbers))
    assert numbers[top:] == sorted(numbers[top:], reverse=True)


@pytest.mark.parametrize("load", [1.0, 8.0, 15.0])
def test_a_load_that_one_can_carry_starts_no_other(load: float) -> None:
    assert steps(list(job(lambda at: load, 600))) == [1]


def test_the_first_batch_alone_starts_no_other() -> None:
    """Loading the model takes half a minute, and a minute's frames have arrived."""
    scaler = Scaler(LIMITS)
    first = Batch(finished_at=30, executors=1, rows=40, busy_seconds=30, waiting=120)
    assert scaler.wanted(first) == 1
    second = Batch(finished_at=37, executors=1, rows=120, busy_seconds=7, waiting=28)
    assert scaler.wanted(second) == 1


def test_batches_that_take_longer_than_the_window_are_compared_all_the_same() -> None:
    scaler = Scaler(LIMITS)
    batches = [Batch(finished_at=40.0 * n, executors=1, rows=400, busy_seconds=40, waiting=800 * n) for n in (1, 2, 3)]
    assert [scaler.wanted(each) for each in batches] == [1, LIMITS.maximum, LIMITS.maximum]


def test_a_noisy_load_does_not_flap() -> None:
    noise = random.Random(7)
    numbers = steps(list(job(lambda at: max(0.0, noise.gauss(50, 20)), 3000)))
    top = numbers.index(max(numbers))
    assert numbers == sorted(numbers[:top]) + sorted(numbers[top:], reverse=True), "up, then down, and not up again"


def test_a_backlog_is_drained_at_full_width_and_then_let_go() -> None:
    seen = list(job(lambda at: 5, 1500, waiting=20_000))
    assert max(each.pods for each in seen) == LIMITS.maximum
    assert seen[-1].pods == 1


def test_nothing_at_all_lets_all_but_the_fewest_go() -> None:
    limits = Limits(minimum=2, maximum=6, target_lag_seconds=10, cool_down_seconds=60)
    seen = list(job(lambda at: 90 if at < 200 else 0, 900, limits=limits))
    assert max(each.pods for each in seen) == 6
    assert seen[-1].pods == 2


def test_more_than_all_can_carry_stays_at_the_most() -> None:
    assert steps(list(job(lambda at: 500, 200)))[-1] == LIMITS.maximum


def test_executors_that_only_take_turns_are_let_go_again() -> None:
    """With two cores for everything, a second executor adds little, and small batches are mostly overhead."""
    crowded = {1: 38.0, 2: 42.0, 3: 43.0, 4: 43.0, 5: 43.0, 6: 43.0}
    seen = list(job(lambda at: 20, 2000, waiting=2000, rate=crowded.__getitem__, overhead=1.2))
    numbers = steps(seen)
    assert numbers[-1] == 1
    assert numbers.count(1) == 2, numbers
