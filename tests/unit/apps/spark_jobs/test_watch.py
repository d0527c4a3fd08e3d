"""What the driver counts of a finished batch."""

from typing import Any

import pytest

from apps.spark_jobs.progress import Offsets
from apps.spark_jobs.query import OUTCOME
from apps.spark_jobs.status import Status
from apps.spark_jobs.watch import Watcher


class Progress:
    def __init__(self) -> None:
        self.committed: list[Offsets] = []

    def commit(self, offsets: Offsets) -> None:
        self.committed.append(offsets)


class Allocation:
    used = wanted = 1

    def batch_done(self, **_: object) -> None:
        """The number of executors is not tested here."""


def batch(rows: int, observed: dict[str, Any] | None) -> dict[str, Any]:
    offsets = {"startOffset": {"frames": {"0": 0}}, "endOffset": {"frames": {"0": rows}}}
    return {"sources": [offsets], "numInputRows": rows, "observedMetrics": observed}


@pytest.mark.parametrize(
    ("observed", "looked", "carried", "rejected"),
    [
        ({OUTCOME: {"rejected": 1, "carried": 6}}, 3, 6, 1),
        ({OUTCOME: {"rejected": 0, "carried": 0}}, 10, 0, 0),
        (None, 10, 0, 0),
    ],
)
def test_frames_looked_at_carried_and_set_aside_are_counted_apart(
    observed: dict[str, Any] | None, looked: int, carried: int, rejected: int
) -> None:
    status, progress = Status("objects", stall_seconds=60), Progress()
    Watcher("frames", progress, status, Allocation()).batch_done(batch(10, observed))  # type: ignore[arg-type]
    assert progress.committed == [{0: 10}]

    def value(name: str) -> float | None:
        return status.registry.get_sample_value(f"argus_spark_{name}_total", {"model": "objects"})

    assert (value("frames"), value("frames_looked"), value("frames_carried")) == (10, looked, carried)
    assert value("rejected") == rejected
