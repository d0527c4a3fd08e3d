"""The rules for how many executors a job should have, without Spark (docs/adr/0013-executors-by-lag.md).

Spark's dynamic allocation removes idle executors, and in a stream of small batches none is idle for long. So the
driver decides by what it knows of each batch: the lag after it, and how busy it was.
"""

import math
from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 30.0
"""How far back batches count, though always two: about a dozen batches, and short enough to follow the load."""

ROOM = 0.7
"""An executor is removed only if arrivals stay below this share of what the remaining ones can process."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The operator's settings."""

    minimum: int
    maximum: int
    target_lag_seconds: float
    """The job gets more executors if processing the waiting records would take longer than this."""
    cool_down_seconds: float
    """How long fewer executors must have been enough before one is removed."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One finished batch."""

    finished_at: float
    """Seconds on a monotonic clock."""
    executors: int
    """Executors that took part."""
    rows: int
    busy_seconds: float
    waiting: int
    """Records that no finished batch contains."""


class Scaler:
    """Follows the batches of one job. Not thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._batches: deque[Batch] = deque()
        self._able: dict[int, float] = {}
        """Records per second by number of executors: the most observed, or the latest rate at which they fell behind.

        Only large batches show it: small ones spend most of their time on starting and ending.
        """
        self._enough_since: float | None = None

    def wanted(self, batch: Batch) -> int:
        """The number of executors that the job should have from now on."""
        seen = self._batches
        if seen and seen[-1].executors != batch.executors:
            # Measurements with another number of executors say nothing about this number.
            seen.clear()
            self._enough_since = None
        seen.append(batch)
        while len(seen) > 2 and seen[0].finished_at < batch.finished_at - WINDOW_SECONDS:
            seen.popleft()
        return max(self._limits.minimum, min(self._limits.maximum, self._unbounded(batch)))

    def _unbounded(self, batch: Batch) -> int:
        rates = [each.rows / each.busy_seconds for each in self._batches if each.rows]
        rate = max(rates, default=0.0)
        able = self._able[batch.executors] = max(self._able.get(batch.executors, 0.0), rate)
        if batch.waiting > self._limits.target_lag_seconds * able:
            self._enough_since = None
            # A query's first batch loads the model, and contains what arrived while no query ran.
            if len(rates) < 2:
                return batch.executors
            self._able[batch.executors] = rate
            needed = self._arriving() + batch.waiting / self._limits.target_lag_seconds
            return max(batch.executors + 1, math.ceil(needed / (rate / batch.executors)))
        return self._fewer(batch)

    def _arriving(self) -> float:
        """Records per second that arrived during the recorded batches."""
        first, last = self._batches[0], self._batches[-1]
        came = sum(each.rows for each in self._batches) - first.rows + last.waiting - first.waiting
        span = last.finished_at - first.finished_at
        return max(0.0, came / span) if span else 0.0

    def _fewer(self, batch: Batch) -> int:
        """One executor less if that has been enough for long, otherwise the present number."""
        fewer = batch.executors - 1
        # Capacity is estimated as proportional to the executors. Where they share cores that is too low, so a rate that
        # this many executors or fewer have reached counts too.
        seen = [rate for executors, rate in self._able.items() if executors <= fewer]
        able = max([self._able[batch.executors] * fewer / batch.executors, *seen])
        if fewer == 0 or self._arriving() > ROOM * able:
            self._enough_since = None
            return batch.executors
        if self._enough_since is None:
            self._enough_since = batch.finished_at
        enough_for = batch.finished_at - self._enough_since
        return fewer if enough_for >= self._limits.cool_down_seconds else batch.executors
