"""Samples how a running stack follows its load while a test changes it, as a table and a chart."""

import csv
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.cluster import ClusterClient
from tests.e2e.page import Login
from tests.e2e.waiting import wait_until

PERIOD_S = 5.0
MODEL = "objects"
STAGES = {"executors": (f"model-{MODEL}", "executor"), "filebeat": ("filebeat", None), "consumer": ("consumer", None)}
"""The pods' labels `name` and `component` for each stage that scales."""

Sample = Mapping[str, float]


def pods(cluster: ClusterClient) -> dict[str, int]:
    """The number of running pods of each stage, without those being deleted."""
    return {stage: len(names(cluster, stage)) for stage in STAGES}


def names(cluster: ClusterClient, stage: str) -> list[str]:
    """The running pods of a stage, without those being deleted."""
    name, component = STAGES[stage]
    labels = [f"app.kubernetes.io/name={name}"]
    if component:
        labels.append(f"app.kubernetes.io/component={component}")
    return [
        pod["metadata"]["name"]
        for pod in cluster.pods(",".join(labels))
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def lag(cluster: ClusterClient, model: str = MODEL) -> float | None:
    """The frames that a model has yet to read, from its application's driver; None while no driver knows.

    A driver that waits to take over reports NaN.
    """
    series = f'argus_spark_lag_records{{model="{model}"}} '
    for pod in cluster.pods("app.kubernetes.io/component=driver"):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        for line in cluster.metrics(pod["metadata"]["name"]):
            if line.startswith(series):
                found = float(line.rsplit(" ", 1)[1])
                if not math.isnan(found):
                    return found
    return None


def wait_for_frames(cluster: ClusterClient, count: int, limit_s: float) -> None:
    """Wait until the present producers have delivered so many more frames to Kafka. Fails after `limit_s` seconds."""
    before = _delivered(cluster)

    def fewer() -> str | None:
        seen = _delivered(cluster) - before
        return f"{seen} frames of {count}" if seen < count else None

    wait_until(f"{count} frames more", fewer, limit_s)


def _delivered(cluster: ClusterClient) -> int:
    return sum(camera.last - camera.first + 1 for camera in cluster.cameras().values() if camera.first and camera.last)


class Watch:
    """Samples in a separate thread. Values that cannot be read are left out."""

    def __init__(self, cluster: ClusterClient, login: Login) -> None:
        self._cluster, self._login = cluster, login
        self._client: httpx.Client | None = None
        self._began = time.monotonic()
        self._stop = threading.Event()
        self.samples: list[Sample] = []
        self.marks: list[tuple[float, str]] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def mark(self, text: str) -> float:
        """Record that something was done now. Returns the seconds since the start."""
        now = self.elapsed
        self.marks.append((now, text))
        return now

    @contextmanager
    def running(self) -> Iterator["Watch"]:
        """Sample until the block ends. Time counts from the block's start."""
        self._began = time.monotonic()
        thread = threading.Thread(target=self._run, name="watch", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def save(self, folder: Path, name: str) -> None:
        """Write `name`.csv and `name`.png."""
        columns = ["seconds", "frames/s", "lag", "latency", *STAGES]
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(self.samples)
        self._draw(folder / f"{name}.png")

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            sample: dict[str, float] = {"seconds": round(self.elapsed, 1)}
            for look in (self._page, self._lag, lambda: pods(self._cluster)):
                try:
                    sample.update(look())
                except httpx.HTTPError:
                    continue
            self.samples.append(sample)

    def _page(self) -> dict[str, float]:
        if self._client is None:
            self._client = self._login.client()
        answer = self._client.get("/api/wall")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._client = None
        statistics: dict[str, Any] = answer.raise_for_status().json()["statistics"]
        found = {"frames/s": statistics["frames_per_second"], "latency": statistics["latency_seconds"]}
        return {key: value for key, value in found.items() if value is not None}

    def _lag(self) -> dict[str, float]:
        found = lag(self._cluster)
        return {} if found is None else {"lag": found}

    def _draw(self, file: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 9), layout="constrained")
        rows = (
            ("frames/s", ["frames/s"]),
            ("frames that wait", ["lag"]),
            ("seconds", ["latency"]),
            ("pods", list(STAGES)),
        )
        axes = figure.subplots(len(rows), sharex=True)
        for axis, (label, keys) in zip(axes, rows, strict=True):
            for key in keys:
                seen = [(each["seconds"], each[key]) for each in self.samples if key in each]
                axis.plot(*zip(*seen, strict=True), label=key, drawstyle="steps-post" if len(keys) > 1 else "default")
            axis.set_ylabel(label)
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
            for at, _ in self.marks:
                axis.axvline(at, color="grey", linestyle=":")
        for at, text in self.marks:
            axes[0].annotate(text, (at, 1), xycoords=("data", "axes fraction"), rotation=20, fontsize=8)
        axes[-1].legend()
        axes[-1].set_xlabel("seconds")
        figure.savefig(file, dpi=110)
