"""Models of one application: what each one's group and metrics say after a batch, also while they differ."""

from collections.abc import Iterable
from typing import Any, ClassVar

import pytest

from apps.spark_jobs import progress
from apps.spark_jobs.progress import Progress
from apps.spark_jobs.query import OUTCOME, answered_by, rejected_by
from apps.spark_jobs.spec import Offsets
from apps.spark_jobs.status import Status
from apps.spark_jobs.watch import Watcher

LOG = {0: (0, 100), 1: (10, 50)}


class Group:
    """A consumer group in Kafka, kept here by its name."""

    stored: ClassVar[dict[str, Offsets]] = {}

    def __init__(self, bootstrap_servers: str, group: str, topic: str) -> None:
        self._group = group

    def watermarks(self) -> dict[int, tuple[int, int]]:
        return LOG

    def committed(self, partitions: Iterable[int]) -> Offsets:
        return {partition: self.stored[self._group][partition] for partition in partitions}

    def commit(self, offsets: Offsets) -> None:
        self.stored[self._group] = dict(offsets)


class Allocation:
    """Notes the lag that the number of executors follows."""

    used = wanted = 1

    def __init__(self) -> None:
        self.waiting = -1

    def batch_done(self, *, rows: int, busy_seconds: float, waiting: int) -> None:
        self.waiting = waiting


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[Watcher, Status, Allocation]:
    """An application in which motion is 10 records ahead in partition 0."""
    monkeypatch.setattr(progress, "GroupProgress", Group)
    monkeypatch.setattr(Group, "stored", {"spark.objects": {0: 60, 1: 20}, "spark.motion": {0: 70, 1: 20}})
    follows = Progress(
        {"bootstrap.servers": "kafka:9092"}, {"objects": "spark.objects", "motion": "spark.motion"}, "frames"
    )
    assert follows.start().offsets == {0: 60, 1: 20}
    status, allocation = Status(["objects", "motion"], stall_seconds=60), Allocation()
    return Watcher("frames", follows, status, allocation), status, allocation  # type: ignore[arg-type]


def batch(start: Offsets, end: Offsets, rows: int, **counts: int) -> dict[str, Any]:
    """Spark's description of a batch; without counts, it has no observation."""

    def described(offsets: Offsets) -> dict[str, Offsets]:
        return {"frames": {str(partition): offset for partition, offset in offsets.items()}}  # type: ignore[misc]

    latest = {partition: high for partition, (_, high) in LOG.items()}
    source = {"startOffset": described(start), "endOffset": described(end), "latestOffset": described(latest)}
    return {"sources": [source], "numInputRows": rows, "observedMetrics": {OUTCOME: counts} if counts else None}


def value(status: Status, name: str, model: str) -> float | None:
    return status.registry.get_sample_value(f"argus_spark_{name}", {"model": model})


def test_a_group_waits_until_the_application_has_reached_it(watched: tuple[Watcher, Status, Allocation]) -> None:
    watcher, status, allocation = watched
    counts = {answered_by("objects"): 5, answered_by("motion"): 0, rejected_by("objects"): 2}
    watcher.batch_done(batch({0: 60, 1: 20}, {0: 65, 1: 20}, 5, **counts))
    assert Group.stored == {"spark.objects": {0: 65, 1: 20}, "spark.motion": {0: 70, 1: 20}}
    assert [value(status, "frames_total", model) for model in status.models] == [5, 0]
    assert [value(status, "rejected_total", model) for model in status.models] == [2, 0]
    assert [value(status, "lag_records", model) for model in status.models] == [65, 60]
    assert [value(status, "expired_total", model) for model in status.models] == [0, 0]
    assert [value(status, "batches_total", model) for model in status.models] == [1, 1]
    assert allocation.waiting == 65, "the largest lag of the application's models"


def test_once_they_have_met_all_are_at_the_same_place(watched: tuple[Watcher, Status, Allocation]) -> None:
    watcher, status, _ = watched
    counts = {answered_by("objects"): 25, answered_by("motion"): 15}
    watcher.batch_done(batch({0: 60, 1: 20}, {0: 80, 1: 25}, 25, **counts))
    assert Group.stored["spark.objects"] == Group.stored["spark.motion"] == {0: 80, 1: 25}
    assert [value(status, "expired_total", model) for model in status.models] == [0, 0]
    assert value(status, "lag_records", "objects") == value(status, "lag_records", "motion") == 45


def test_what_expires_is_counted_for_the_models_that_had_not_read_it(
    watched: tuple[Watcher, Status, Allocation],
) -> None:
    watcher, status, _ = watched
    # Retention removed 60 to 74 of partition 0; motion had answered 60 to 69 before.
    watcher.batch_done(
        batch({0: 60, 1: 20}, {0: 80, 1: 20}, 5, **{answered_by("objects"): 5, answered_by("motion"): 5})
    )
    assert [value(status, "expired_total", model) for model in status.models] == [15, 5]


def test_a_batch_without_an_observation_counts_what_was_read(watched: tuple[Watcher, Status, Allocation]) -> None:
    watcher, status, _ = watched
    watcher.batch_done(batch({0: 80, 1: 20}, {0: 90, 1: 20}, 10))
    assert [value(status, "frames_total", model) for model in status.models] == [10, 10]
    assert [value(status, "expired_total", model) for model in status.models] == [0, 0]
