import random

import pytest

from apps.producer.pace import Backoff, Pace


def test_slots_are_an_interval_apart_whatever_the_work_takes() -> None:
    pace = Pace(2.0, 0.5, 100.0)
    now, slots = 100.0, []
    for work in (0.1, 0.4, 0.0, 0.3):
        slots.append(pace.next_due(now))
        now = max(now, slots[-1]) + work
    assert slots == pytest.approx([100.25, 100.75, 101.25, 101.75])


def test_a_late_camera_loses_slots_and_never_bursts() -> None:
    pace = Pace(1.0, 0.0, 0.0)
    assert pace.next_due(0.0) == 0.0
    assert pace.next_due(7.6) == 7.0
    assert pace.next_due(7.7) == 8.0


def test_cameras_of_a_producer_take_turns() -> None:
    first = sorted(Pace(0.5, place / 4, 0.0).next_due(0.0) for place in range(4))
    assert first == [0.0, 0.5, 1.0, 1.5]


def test_waits_double_up_to_a_limit_with_jitter_and_start_over() -> None:
    backoff = Backoff(first=1.0, longest=30.0, roll=random.Random(1))
    waits = [backoff.wait() for _ in range(60)]
    for step, wait in enumerate(waits):
        longest = min(30.0, 2.0**step)
        assert longest / 2 <= wait <= longest
    assert len(set(waits[10:])) > 40
    backoff.reset()
    assert backoff.wait() <= 1.0
