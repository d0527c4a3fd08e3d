"""Simulates stages that scale: a Spark job batch by batch, and pods under Kubernetes' autoscaler.

A job follows the program's rules (apps/spark_jobs/scaling.py). Pods follow Kubernetes' documented rules with the
settings of components/autoscaling/lag.py.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apps.spark_jobs.scaling import Batch, Limits, Scaler
from components.autoscaling.lag import SETTLE_SECONDS, STEP_SECONDS
from components.config.sections import LagReplicas

TRIGGER_SECONDS = 2.0
LOOK_SECONDS = 15.0
"""The autoscaler's period (--horizontal-pod-autoscaler-sync-period)."""

TOLERANCE = 0.1
"""The relative deviation from its target that it tolerates (--horizontal-pod-autoscaler-tolerance)."""

Load = Callable[[float], float]
"""Records per second at a time in seconds."""


@dataclass(frozen=True)
class Moment:
    """A stage at one time: its executors or pods, and the waiting records."""

    at: float
    pods: int
    waiting: float


def spark_job(
    load: Load,
    seconds: float,
    *,
    limits: Limits,
    rate: Callable[[int], float],
    most_rows: Callable[[int], float],
    overhead: float = 0.3,
    start_seconds: float = 15.0,
    waiting: float = 0,
) -> Iterator[Moment]:
    """Simulate a job under a load. A requested executor takes part `start_seconds` later.

    `rate` is the records per second of this many executors, `most_rows` the largest size of their batches, and
    `overhead` the seconds of an empty batch.
    """
    scaler, executors, now = Scaler(limits), limits.minimum, 0.0
    coming: deque[tuple[float, int]] = deque()
    """Future times with the number of executors from then on."""
    while now < seconds:
        rows = min(waiting, most_rows(executors))
        busy = overhead + rows / rate(executors)
        took = max(TRIGGER_SECONDS, busy)
        waiting += load(now) * took - rows
        now += took
        batch = Batch(
            finished_at=now,
            executors=executors,
            rows=round(rows),
            busy_seconds=busy if rows else 0,
            waiting=round(waiting),
        )
        wanted = scaler.wanted(batch)
        yield Moment(now, executors, waiting)
        if wanted < executors:
            executors = wanted
            coming.clear()
        elif wanted > (coming[-1][1] if coming else executors):
            coming.append((now + start_seconds, wanted))
        while coming and coming[0][0] <= now:
            executors = coming.popleft()[1]


def pods(
    load: Load,
    seconds: float,
    *,
    replicas: LagReplicas,
    millicores: Callable[[float], float],
    rate: float,
    start_seconds: float = 15.0,
) -> Iterator[Moment]:
    """Simulate pods of a consumer group under a load, one moment per period of the autoscaler.

    `millicores` is a pod's use at a number of records per second, `rate` a pod's maximum records per second.
    """
    count, waiting, now, gone_at = replicas.minimum, 0.0, 0.0, -math.inf
    coming: tuple[float, int] | None = None
    wishes: deque[tuple[float, int]] = deque()
    threshold = replicas.target_lag_seconds * replicas.records_per_second
    while now < seconds:
        done = min(waiting + load(now) * LOOK_SECONDS, rate * count * LOOK_SECONDS)
        waiting += load(now) * LOOK_SECONDS - done
        now += LOOK_SECONDS
        yield Moment(now, count, waiting)
        cpu = millicores(done / LOOK_SECONDS / count)
        wish = max(_wish(count, cpu / replicas.target_millicores), _wish(count, waiting / count / threshold))
        wishes.append((now, max(replicas.minimum, min(replicas.maximum, wish))))
        while wishes[0][0] < now - max(replicas.cool_down_seconds, SETTLE_SECONDS):
            wishes.popleft()
        up = min(each for at, each in wishes if at > now - SETTLE_SECONDS)
        down = max(each for at, each in wishes if at >= now - replicas.cool_down_seconds)
        if up > count:
            coming = coming or (now + start_seconds, up)
        elif down < count and now - gone_at >= STEP_SECONDS:
            count, gone_at, coming = count - 1, now, None
        if coming is not None and coming[0] <= now:
            count, coming = coming[1], None


def _wish(count: int, ratio: float) -> int:
    return count if abs(ratio - 1) <= TOLERANCE else math.ceil(count * ratio)
