"""Requests and stops executors while the job runs, by the rules of scaling.py."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from pyspark.sql import SparkSession

from apps.spark_jobs.scaling import Batch, Limits, Scaler
from apps.spark_jobs.spec import JobSpec
from apps.spark_jobs.worker import prepare

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long to wait for all requested executors before using only those that have registered."""


class Executors(Protocol):
    """The executors of one Spark application."""

    def running(self) -> list[str]:
        """The ids of the registered executors that were not stopped, oldest first."""

    def request(self, total: int) -> None:
        """Tell Spark how many executors to keep. It stops none of those that run."""

    def stop(self, ids: list[str]) -> None:
        """Stop these executors without replacing them."""

    def prepare(self, count: int) -> None:
        """Start loading the models on `count` executors, in the background."""

    @property
    def preparing(self) -> bool:
        """Whether executors are still loading the models."""


class SparkExecutors:
    """Executors through Spark's developer API, which dynamic allocation uses too."""

    def __init__(self, spark: SparkSession, specs: Sequence[JobSpec], cores: int) -> None:
        self._spark, self._specs, self._cores = spark, specs, cores
        self._context = spark.sparkContext._jsc.sc()
        self._jvm = cast(Any, spark.sparkContext._jvm)
        # Py4J looks for a class of each part of such a name, in all jars: too much for each look at the executors.
        self._converters = self._jvm.scala.jdk.javaapi.CollectionConverters
        self._preparation: threading.Thread | None = None
        self._stopped: set[str] = set()

    def running(self) -> list[str]:
        """The ids of the registered executors that were not stopped, oldest first."""
        ids = self._converters.asJava(self._context.getExecutorIds())
        return sorted(set(ids) - self._stopped, key=lambda each: (len(each), each))

    def request(self, total: int) -> None:
        """Tell Spark how many executors to keep. It stops none of those that run."""
        nowhere_in_particular = self._jvm.PythonUtils.toScalaMap(self._jvm.java.util.HashMap())
        self._context.requestTotalExecutors(total, 0, nowhere_in_particular)

    def stop(self, ids: list[str]) -> None:
        """Stop these executors without replacing them."""
        self._stopped.update(ids)
        self._context.killExecutors(self._jvm.PythonUtils.toSeq(ids))

    def prepare(self, count: int) -> None:
        """Start loading the models on `count` executors, in the background, by a job with one task for each core.

        New executors are idle, so they get their tasks at once. Where the models are loaded, the task ends at once.
        """
        self._preparation = threading.Thread(
            target=self._prepare, args=(count * self._cores,), name="prepare-executors", daemon=True
        )
        self._preparation.start()

    @property
    def preparing(self) -> bool:
        """Whether executors are still loading the models."""
        return self._preparation is not None and self._preparation.is_alive()

    def _prepare(self, tasks: int) -> None:
        try:
            self._spark.range(0, tasks, 1, tasks).mapInArrow(partial(prepare, specs=self._specs), "id long").collect()
        except Exception as error:  # From py4j or Spark while the application ends. The batches report real faults.
            logger.warning("executors are used as they are: %s", error)


class Allocation:
    """How many executors the query uses and how many it should use.

    A query is planned for as many tasks as its executors run at once, so it is restarted when their number changes:
    between two batches, from the committed offsets, when the executors to be stopped are idle. New executors load the
    models first, so that no batch waits for it. A request can be withdrawn only until its executor starts.
    """

    def __init__(self, limits: Limits, executors: Executors, clock: Callable[[], float] = time.monotonic) -> None:
        self._scaler, self._executors, self._clock = Scaler(limits), executors, clock
        self._requested = limits.minimum
        self._requested_at = clock()
        self._prepared: set[str] = set()
        self.used = self.wanted = limits.minimum
        executors.request(limits.minimum)

    def batch_done(self, *, rows: int, busy_seconds: float, waiting: int) -> None:
        """Record a finished batch or an idle report. Called in the listener's thread."""
        batch = Batch(
            finished_at=self._clock(), executors=self.used, rows=rows, busy_seconds=busy_seconds, waiting=waiting
        )
        self.wanted = self._scaler.wanted(batch)

    def due(self) -> bool:
        """Request the wanted number. Returns True when the query should be stopped for `apply`."""
        wanted = self.wanted
        if wanted < self.used:
            return True
        running = self._executors.running()
        here = len(running)
        # An executor that registers after it is no longer needed is still used, and removed later as any other.
        wanted = max(wanted, here)
        if wanted != self._requested:
            self._request(wanted)
        self._prepare(running)
        if wanted == self.used or self._executors.preparing:
            return False
        late = self._clock() - self._requested_at > PATIENCE_SECONDS
        return here >= wanted or (here > self.used and late)

    def apply(self) -> None:
        """Between two queries: stop the executors that are not wanted, and use those that have registered."""
        before, wanted, running = self.used, self.wanted, self._executors.running()
        if wanted < before:
            self._executors.stop(running[wanted:])
            self._request(wanted)
            self.used = wanted
        else:
            self.used = max(before, len(running))
            self.wanted = max(wanted, self.used)
        logger.info("executors: %d before, %d now", before, self.used)

    def _prepare(self, running: list[str]) -> None:
        """Load the models on new executors, also on one that replaces another."""
        if set(running) <= self._prepared or self._executors.preparing:
            return
        self._executors.prepare(len(running))
        self._prepared = set(running)

    def _request(self, total: int) -> None:
        self._executors.request(total)
        self._requested, self._requested_at = total, self._clock()
