"""How many executors a job should have: the rules, without Spark (docs/adr/0013-executors-by-lag.md).

Spark's own dynamic allocation removes executors that are idle, and in a stream of small batches none is ever idle for
long. So the driver decides by what it already knows of each batch: how far behind it is, and how busy it was.
"""

import math
from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 30.0
"""What counts of the past, but two batches at least: time for a dozen, and soon over when the load changes."""

ROOM = 0.7
"""The share of what fewer executors can do that may arrive, for one to be let go."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the operator sets."""

    minimum: int
    maximum: int
    target_lag_seconds: float
    """How long the job may take to get through what waits for it, before it gets more executors."""
    cool_down_seconds: float
    """How long fewer executors must have been enough, before one is let go."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One finished batch."""

    finished_at: float
    """Seconds, by a clock that only goes forward."""
    executors: int
    """Those that took part."""
    rows: int
    busy_seconds: float
    waiting: int
    """Records that no finished batch holds."""


class Scaler:
    """Follows the batches of one job. Not for several threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._batches: deque[Batch] = deque()
        self._able: dict[int, float] = {}
        """Records a second that so many executors were seen to get through: the most, until they fell behind with less.

        Large batches show it. Of small ones, most of the time goes into beginning and ending them.
        """
        self._enough_since: float | None = None

    def wanted(self, batch: Batch) -> int:
        """The number of executors that the job should have from now on."""
        seen = self._batches
        if seen and seen[-1].executors != batch.executors:
            # What others did says nothing about these.
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
            # A query's first batch loads the model, and finds what came while there was none.
            if len(rates) < 2:
                return batch.executors
            self._able[batch.executors] = rate
            needed = self._arriving() + batch.waiting / self._limits.target_lag_seconds
            return max(batch.executors + 1, math.ceil(needed / (rate / batch.executors)))
        return self._fewer(batch)

    def _arriving(self) -> float:
        """Records a second that came while the seen batches ran."""
        first, last = self._batches[0], self._batches[-1]
        came = sum(each.rows for each in self._batches) - first.rows + last.waiting - first.waiting
        span = last.finished_at - first.finished_at
        return max(0.0, came / span) if span else 0.0

    def _fewer(self, batch: Batch) -> int:
        """One executor less, once that has been enough for long; as many as there are until then."""
        fewer = batch.executors - 1
        # What even fewer were seen to do, these can; else each has its share in what there are. Where all take turns on
        # the same cores, the share is too little, and only what was seen lets one go.
        seen = [rate for executors, rate in self._able.items() if executors <= fewer]
        able = max([self._able[batch.executors] * fewer / batch.executors, *seen])
        if fewer == 0 or self._arriving() > ROOM * able:
            self._enough_since = None
            return batch.executors
        if self._enough_since is None:
            self._enough_since = batch.finished_at
        enough_for = batch.finished_at - self._enough_since
        return fewer if enough_for >= self._limits.cool_down_seconds else batch.executors
