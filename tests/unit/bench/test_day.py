"""The simulated autoscaler acts like Kubernetes', and the rules handle the user's day without flapping."""

from itertools import pairwise

import pytest

from components.config.sections import LagReplicas
from tests.bench.day import DAY_SECONDS, FRAMES_A_DAY, Stage, day, limits, load, peak, stages
from tests.bench.simulated import Load, Moment, pods

REPLICAS = LagReplicas.model_validate(
    {
        "minimum": 1,
        "maximum": 4,
        "targetLagSeconds": 30,
        "recordsPerSecond": 100,
        "targetMillicores": 500,
        "coolDownSeconds": 300,
    }
)
PER_RECORD = 10.0
"""Millicores: a pod at its maximum rate uses one core."""


def run(load: Load, seconds: float) -> list[Moment]:
    return list(
        pods(
            load,
            seconds,
            replicas=REPLICAS,
            millicores=lambda rate: rate * PER_RECORD,
            rate=REPLICAS.records_per_second,
        )
    )


def steps(moments: list[Moment]) -> list[int]:
    return [moments[0].pods, *(b.pods for a, b in pairwise(moments) if a.pods != b.pods)]


def test_pods_come_with_the_load_and_stay_while_fewer_would_have_too_much() -> None:
    seen = run(lambda at: 150 if 600 <= at < 4000 else 20, 6000)
    # 150 records need 1.5 cores: three pods at the target of a half, though two could keep up.
    assert {each.pods for each in seen if 2000 <= each.at < 4000} == {3}
    assert steps(seen)[-1] == 1


def test_a_burst_that_is_over_at_the_next_look_brings_no_pod() -> None:
    assert steps(run(lambda at: 90 if 600 <= at < 615 else 20, 2000)) == [1]


def test_what_cannot_be_carried_ends_at_the_maximum() -> None:
    seen = run(lambda at: 1000, 1200)
    assert seen[-1].pods == REPLICAS.maximum
    assert seen[-1].waiting > seen[-20].waiting


def test_a_day_is_as_many_frames_as_the_user_has() -> None:
    at = load(40)
    assert sum(at(second) for second in range(0, DAY_SECONDS, 10)) * 10 == pytest.approx(FRAMES_A_DAY, rel=0.01)


@pytest.mark.parametrize("stage", stages(), ids=lambda stage: stage.name)
def test_the_rules_carry_the_day_without_flapping(stage: Stage) -> None:
    found = day(stage, 40)
    assert found.worst_lag_seconds < 20
    # Up in the morning, down in the evening, one at a time, with few other changes.
    assert found.changes <= 2 * (found.most - found.fewest) + 4


def test_the_first_limit_with_more_cameras() -> None:
    assert max(share for _, share, _ in limits(40)) < 1
    name, share, change = max(limits(400), key=lambda each: each[1])
    assert name.startswith("partitions") and share > 1 and change == "kafka.partitions: 128"
    assert peak(400) == pytest.approx(10 * peak(40))
