"""Stages that scale, simulated: a Spark job batch by batch, and pods as Kubernetes' autoscaler has them.

The rules of a job are the program's (apps/spark_jobs/scaling.py). Those of the pods are Kubernetes', as it documents
them, with what components/autoscaling/lag.py tells it.
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
"""How often the autoscaler looks (--horizontal-pod-autoscaler-sync-period)."""

TOLERANCE = 0.1
"""The share by which it is content to miss its target (--horizontal-pod-autoscaler-tolerance)."""

Load = Callable[[float], float]
"""Records a second at a time in seconds."""


@dataclass(frozen=True)
class Moment:
    """A stage at one time: its executors or pods, and the records that wait for them."""

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
    """A job under a load. An executor that is asked for takes part `start_seconds` later.

    `rate` is what so many executors get through in a second, `most_rows` what one batch of theirs takes at most, and
    `overhead` the seconds that a batch of nothing takes.
    """
    scaler, executors, now = Scaler(limits), limits.minimum, 0.0
    coming: deque[tuple[float, int]] = deque()
    """When there will be how many."""
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
    """Pods of a consumer group under a load, one moment a look of the autoscaler.

    `millicores` is what a pod uses that gets through so many records a second, `rate` the most that one gets through.
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
