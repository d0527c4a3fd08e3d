"""What the driver counts of a finished batch."""

from collections.abc import Sequence
from typing import Any

import pytest

from apps.spark_jobs.progress import Offsets
from apps.spark_jobs.query import OUTCOME, answered_by, carried_by, rejected_by, thinned_by
from apps.spark_jobs.status import Status
from apps.spark_jobs.watch import Watcher


class Progress:
    def __init__(self) -> None:
        self.committed: list[Offsets] = []

    def commit(self, offsets: Offsets) -> None:
        self.committed.append(offsets)

    def reached(self, model: str, offsets: Offsets) -> Offsets:
        return offsets


class Allocation:
    used = wanted = 1

    def batch_done(self, **_: object) -> None:
        """The number of executors is not tested here."""


def batch(rows: int, observed: dict[str, Any] | None) -> dict[str, Any]:
    offsets = {"startOffset": {"frames": {"0": 0}}, "endOffset": {"frames": {"0": rows}}}
    return {"sources": [offsets], "numInputRows": rows, "observedMetrics": observed}


def counts(model: str, *, answered: int, rejected: int, carried: int, thinned: int = 0) -> dict[str, int]:
    counted = {answered_by: answered, rejected_by: rejected, carried_by: carried, thinned_by: thinned}
    return {name(model): count for name, count in counted.items()}


def counted(
    observed: dict[str, Any] | None,
    models: Sequence[str],
    names: Sequence[str] = ("frames", "frames_looked", "frames_carried", "rejected"),
) -> dict[str, list[float | None]]:
    """The driver's counts after one batch of 10 frames."""
    status, progress = Status(models, stall_seconds=60), Progress()
    Watcher("frames", progress, status, Allocation()).batch_done(batch(10, observed))  # type: ignore[arg-type]
    assert progress.committed == [{0: 10}]
    return {
        model: [status.registry.get_sample_value(f"argus_spark_{name}_total", {"model": model}) for name in names]
        for model in models
    }


@pytest.mark.parametrize(
    ("observed", "looked", "carried", "rejected"),
    [
        ({OUTCOME: counts("objects", answered=10, rejected=1, carried=6)}, 3, 6, 1),
        ({OUTCOME: counts("objects", answered=10, rejected=0, carried=0)}, 10, 0, 0),
        (None, 10, 0, 0),
    ],
)
def test_frames_looked_at_carried_and_set_aside_are_counted_apart(
    observed: dict[str, Any] | None, looked: int, carried: int, rejected: int
) -> None:
    assert counted(observed, ["objects"]) == {"objects": [10, looked, carried, rejected]}


def test_frames_left_out_by_overload_are_counted_apart() -> None:
    observed = {OUTCOME: counts("objects", answered=10, rejected=1, carried=2, thinned=4)}
    names = ("frames", "frames_looked", "frames_carried", "frames_thinned", "rejected")
    assert counted(observed, ["objects"], names) == {"objects": [10, 3, 2, 4, 1]}


def test_each_model_of_an_application_is_counted_apart() -> None:
    observed = counts("objects", answered=10, rejected=1, carried=6) | counts(
        "motion", answered=8, rejected=2, carried=0
    )
    assert counted({OUTCOME: observed}, ["objects", "motion"]) == {"objects": [10, 3, 6, 1], "motion": [8, 6, 0, 2]}
