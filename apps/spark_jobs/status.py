"""The driver's health and metrics, for Kubernetes and Prometheus."""

import math
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from apps.service.expiry import EXPIRY
from apps.service.health import Health, healthy
from apps.service.http import Server, metrics_handler, probes
from apps.service.peer import Door

PREFIX, LABELS = "argus_spark_", ("model",)


class Metrics:
    """The metrics of all models of an application. Each series is one model's, also of what the models share."""

    def __init__(self, age: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.age = age
        self.batches = self._counter("batches", "Finished batches.")
        self.frames = self._counter("frames", "Records read from the frames topic.")
        self.rejected = self._counter("rejected", "Records set aside on the rejected topic.")
        self.looked = self._counter("frames_looked", "Frames whose result the model found by looking at them.")
        self.carried = self._counter(
            "frames_carried", "Frames whose result is carried from an earlier one: nothing moved."
        )
        self.thinned = self._counter(
            "frames_thinned", "Frames that the model did not look at because it was behind (overload)."
        )
        self.expired = self._counter("expired", "Records that retention removed before this job read them.")
        self.lag = self._gauge("lag_records", "Records on the frames topic that no finished batch holds.")
        self.input_rate = self._gauge("input_rows_per_second", "Records a second that arrived before the last batch.")
        self.processed_rate = self._gauge(
            "processed_rows_per_second", "Records a second that the last batch got through."
        )
        self.batch_seconds = self._gauge("batch_duration_seconds", "How long the last batch took.")
        self.executors = self._gauge("executors", "Executors that the query is planned for.")
        self.executors_wanted = self._gauge("executors_wanted", "Executors that the load asks for, within the limits.")
        self.last_sign_age = self._gauge("last_sign_age_seconds", "Seconds since the last batch or idle report.")

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(PREFIX + name, text, LABELS, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(PREFIX + name, text, LABELS, registry=self.registry)


class ModelStatus:
    """What one model has done so far. What it shares with its application's other models is the same in each."""

    def __init__(self, model: str, metrics: Metrics) -> None:
        self.batches = metrics.batches.labels(model)
        self.frames = metrics.frames.labels(model)
        self.rejected = metrics.rejected.labels(model)
        self.looked = metrics.looked.labels(model)
        self.carried = metrics.carried.labels(model)
        self.thinned = metrics.thinned.labels(model)
        self.expired = metrics.expired.labels(model)
        self.lag = metrics.lag.labels(model)
        # Unknown until Kafka is asked, which a driver that waits to take over does not do.
        self.lag.set(math.nan)
        self.input_rate = metrics.input_rate.labels(model)
        self.processed_rate = metrics.processed_rate.labels(model)
        self.batch_seconds = metrics.batch_seconds.labels(model)
        self.executors = metrics.executors.labels(model)
        self.executors_wanted = metrics.executors_wanted.labels(model)
        metrics.last_sign_age.labels(model).set_function(metrics.age)


class Status:
    """What the application has done so far. Thread-safe."""

    def __init__(self, models: Sequence[str], *, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._last_sign = time.monotonic()
        self._ready = self._works = False
        self.failure: str | None = None
        metrics = Metrics(self.age)
        self.registry = metrics.registry
        self.registry.register(EXPIRY)
        self.models = {model: ModelStatus(model, metrics) for model in models}

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


def serve(status: Status, port: int, metrics_port: int, metrics_door: Door) -> list[Server]:
    """Serve /healthz and /readyz in plain, and /metrics at a port of their own; port 0 chooses a free port."""
    measured = Server(metrics_port, metrics_handler(status.registry), metrics_door)
    return [Server(port, probes(status.health, status.readiness, beside=[measured])), measured]
