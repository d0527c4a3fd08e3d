"""The driver's health and metrics, for Kubernetes and Prometheus."""

import math
import time

from prometheus_client import CollectorRegistry, Counter, Gauge

from apps.service.health import Health, healthy
from apps.service.http import Server


class Status:
    """What the job has done so far. Thread-safe."""

    def __init__(self, model: str, *, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._last_sign = time.monotonic()
        self._ready = self._works = False
        self.failure: str | None = None
        self.registry = CollectorRegistry()
        prefix, labels = "argus_spark_", ["model"]

        def counter(name: str, text: str) -> Counter:
            return Counter(prefix + name, text, labels, registry=self.registry).labels(model)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(prefix + name, text, labels, registry=self.registry).labels(model)

        self.batches = counter("batches", "Finished batches.")
        self.frames = counter("frames", "Records read from the frames topic.")
        self.rejected = counter("rejected", "Records set aside on the rejected topic.")
        self.looked = counter("frames_looked", "Frames whose result the model found by looking at them.")
        self.carried = counter("frames_carried", "Frames whose result is carried from an earlier one: nothing moved.")
        self.expired = counter("expired", "Records that retention removed before this job read them.")
        self.lag = gauge("lag_records", "Records on the frames topic that no finished batch holds.")
        # Unknown until Kafka is asked, which a driver that waits to take over does not do.
        self.lag.set(math.nan)
        self.input_rate = gauge("input_rows_per_second", "Records a second that arrived before the last batch.")
        self.processed_rate = gauge("processed_rows_per_second", "Records a second that the last batch got through.")
        self.batch_seconds = gauge("batch_duration_seconds", "How long the last batch took.")
        self.executors = gauge("executors", "Executors that the query is planned for.")
        self.executors_wanted = gauge("executors_wanted", "Executors that the load asks for, within the limits.")
        gauge("last_sign_age_seconds", "Seconds since the last batch or idle report.").set_function(self.age)

    def sign_of_life(self) -> None:
        """A batch has finished or Spark reported that it is idle: executors run and Kafka answers."""
        self._last_sign = time.monotonic()
        self._ready = self._works = True

    def waiting(self, other: str | None) -> None:
        """The job is healthy and waits for the driver `other` to end; None if it is unknown whether there is one."""
        self._last_sign = time.monotonic()
        self._ready = self._ready or other is not None

    def age(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._last_sign

    def health(self) -> Health:
        """The answer of /healthz."""
        if self.failure is not None:
            return healthy(False, f"failed: {self.failure}\n")
        age = self.age()
        well = age <= self._stall_seconds
        return healthy(well, f"{'ok' if well else 'stalled'}: last batch or idle report {age:.0f} s ago\n")

    def readiness(self) -> Health:
        """The answer of /readyz: whether the job has finished a batch, or can begin once another driver has ended.

        Kubernetes ends the other driver when this one is ready.
        """
        if not self._ready:
            return healthy(False, "waiting for the first batch\n")
        return healthy(True, "ok\n" if self._works else "ready to take over\n")


def serve(status: Status, port: int) -> Server:
    """Serve /healthz, /readyz and /metrics; port 0 chooses a free port."""
    return Server(port, health=status.health, readiness=status.readiness, registry=status.registry)
