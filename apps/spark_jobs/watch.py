"""Follows the query: commits and counts every finished batch."""

import json
import logging
import threading
from typing import Any, cast

from pyspark.sql import SparkSession
from pyspark.sql.streaming.listener import StreamingQueryListener

from apps.spark_jobs.executors import Allocation
from apps.spark_jobs.progress import Progress, offsets_of, span
from apps.spark_jobs.query import OUTCOME, answered_by, carried_by, rejected_by, thinned_by
from apps.spark_jobs.status import Status

logger = logging.getLogger(__name__)


class Watcher:
    """Commits a batch when Spark reports its progress, which is after Kafka has acknowledged all of its results.

    If the driver is killed in between, the batch runs again and gives the same results with the same identities.
    """

    def __init__(self, topic: str, progress: Progress, status: Status, allocation: Allocation) -> None:
        self._topic, self._progress, self._status, self._allocation = topic, progress, status, allocation
        self.batch_finished = threading.Event()
        """Set at each finished batch and at each idle report."""
        self.terminated = threading.Event()
        """Set when the query has ended and all its batches have been committed."""

    def idle(self) -> None:
        """Record that there are no new frames, which counts as a sign of life."""
        for model in self._status.models.values():
            model.lag.set(0)
        self._scale(rows=0, busy_seconds=0, waiting=0)
        self._status.sign_of_life()
        self.batch_finished.set()

    def ended(self, failure: str | None) -> None:
        """Keep the query's failure, if any: this is its last event."""
        if failure is not None:
            self._status.failure = failure.splitlines()[0]
        self.terminated.set()

    def batch_done(self, progress: dict[str, Any]) -> None:
        """Commit and count one batch, from Spark's JSON description of it."""
        source = progress["sources"][0]
        start, end, latest = (
            offsets_of(source.get(which), self._topic) for which in ("startOffset", "endOffset", "latestOffset")
        )
        self._progress.commit(end)
        outcome = (progress.get("observedMetrics") or {}).get(OUTCOME) or {}
        busy = float(progress.get("durationMs", {}).get("triggerExecution", 0)) / 1000
        for name, model in self._status.models.items():
            began, reached = (self._progress.reached(name, offsets) for offsets in (start, end))
            frames = int(outcome.get(answered_by(name), progress["numInputRows"]))
            model.batches.inc()
            model.frames.inc(frames)
            rejected, carried, thinned = (int(outcome.get(of(name), 0)) for of in (rejected_by, carried_by, thinned_by))
            model.rejected.inc(rejected)
            model.carried.inc(carried)
            model.thinned.inc(thinned)
            model.looked.inc(frames - rejected - carried - thinned)
            self._count_expired(name, span(began, reached) - frames)
            model.lag.set(span(reached, latest))
            model.input_rate.set(float(progress.get("inputRowsPerSecond") or 0))
            model.processed_rate.set(float(progress.get("processedRowsPerSecond") or 0))
            model.batch_seconds.set(busy)
        self._scale(rows=int(progress["numInputRows"]), busy_seconds=busy, waiting=span(end, latest))
        self._status.sign_of_life()
        self.batch_finished.set()

    def _count_expired(self, model: str, records: int) -> None:
        if records > 0:
            self._status.models[model].expired.inc(records)
            logger.warning("%d records were gone from %s before model %s read them", records, self._topic, model)

    def _scale(self, *, rows: int, busy_seconds: float, waiting: int) -> None:
        self._allocation.batch_done(rows=rows, busy_seconds=busy_seconds, waiting=waiting)
        for model in self._status.models.values():
            model.executors.set(self._allocation.used)
            model.executors_wanted.set(self._allocation.wanted)


class SparkEvents:
    """Spark's events as they come from the JVM, passed on to a watcher.

    PySpark's own listener copies every field of a batch's progress by itself, in some hundred calls into the JVM, which
    took more than a driver of small batches needs for all the rest. Here the JVM writes the progress as JSON.
    """

    def __init__(self, spark: SparkSession, watcher: Watcher) -> None:
        self._spark, self._watcher = spark, watcher

    def listen(self) -> None:
        """Begin to pass on the events of all queries of the session."""
        self._spark.streams.addListener(cast(StreamingQueryListener, self))

    @property
    def _jlistener(self) -> Any:
        # PySpark registers this object with Spark, in place of its own.
        jvm = cast(Any, self._spark.sparkContext._jvm)
        return jvm.org.apache.spark.sql.streaming.PythonStreamingQueryListenerWrapper(self)

    def onQueryStarted(self, event: Any) -> None:
        """Nothing to do: the first batch is the first sign of life."""

    def onQueryProgress(self, event: Any) -> None:
        """A batch has finished."""
        self._watcher.batch_done(json.loads(event.progress().json()))

    def onQueryIdle(self, event: Any) -> None:
        """The query has looked for new frames, and there were none."""
        self._watcher.idle()

    def onQueryTerminated(self, event: Any) -> None:
        """The query has ended."""
        exception = event.exception()
        self._watcher.ended(exception.get() if exception.isDefined() else None)

    class Java:
        """What Py4J needs to know."""

        implements = ("org.apache.spark.sql.streaming.PythonStreamingQueryListener",)
