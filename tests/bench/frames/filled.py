"""Executors alone: the frames' topic is filled while no driver runs, and emptied with the cameras at rest.

What they do then is what the two cores give to executors beside the resting lab, which loop B shows for the bare
detector: nothing captures, and consumers and Filebeat have no more to do than the executors give them.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lab.config import LabError
from lab.progress import say
from tests.bench.frames.cpu import Meter, metered
from tests.bench.frames.figures import slope
from tests.bench.frames.lab import DRAIN_LIMIT_S, Lab, known
from tests.bench.frames.network import Entrance, watching
from tests.bench.frames.programs import Pods
from tests.bench.frames.report import Filled
from tests.bench.frames.stack import AT_REST
from tests.bench.frames.step import cpu_of
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.load import delivered, lag
from tests.e2e.machines import kubectl
from tests.e2e.waiting import wait_until

RATE = 60.0
"""Frames/s at which the topic is filled: the machines have nothing else to do."""
_FILL_LIMIT_S = 900
_START_LIMIT_S = 600
_STARTED = 0.05
"""The share of the frames that are read first: the model is loaded, and executors are asked for."""
_NEARLY_EMPTY = 0.05
"""Below this share of the frames a batch may be small."""


def measure(lab: Lab, frames: int, seconds: float) -> Filled:
    """Fill the topic with at least so many frames of each model and measure the executors for so long.

    Raises LabError if the topic was empty before two readings.
    """
    with _without_drivers(lab.cluster):
        lab.apply(RATE)
        before = delivered(lab.cluster)
        say(f"filling the topic with {frames} frames")
        wait_until("a filled topic", lambda: _fewer(delivered(lab.cluster) - before, frames), _FILL_LIMIT_S)
        lab.apply(AT_REST)
    wait_until("executors at work", lambda: _waiting(lab, frames * (1 - _STARTED)), _START_LIMIT_S)
    entrance, pods = Entrance.find(lab.cluster), known(Pods(), lab)
    say(f"executors alone: measuring for {seconds:.0f} s")
    with watching(entrance, lab.models, seconds) as watched:
        meter = Meter(instrument=os.getpid())
        with metered(meter):
            watched.wait_for_the_end()
        usage = meter.look()
        seen = watched.seen()
    rates = {model: emptied(seen.at, lags, frames * _NEARLY_EMPTY) + AT_REST for model, lags in seen.lags.items()}
    lab.wait_until_drained(AT_REST, DRAIN_LIMIT_S)
    return Filled(frames=frames, rates=rates, cpu=cpu_of(usage, known(pods, lab)))


def emptied(at: Sequence[float], lags: Sequence[float], least: float) -> float:
    """The frames/s by which a lag falls while it is above the least. Raises LabError for fewer than two points."""
    points = []
    for point in zip(at, lags, strict=True):
        if point[1] <= least:
            break
        points.append(point)
    if len(points) < 2:
        raise LabError("the topic was empty before the executors could be measured: fill it with more frames")
    return -slope(points)


@contextmanager
def _without_drivers(cluster: ClusterClient) -> Iterator[None]:
    """No driver, and so no executor, runs within the block."""
    drivers = [each["metadata"]["name"] for each in _deployments(cluster) if _role(each) == "driver"]
    names = " ".join(drivers)
    try:
        kubectl("cp1", f"-n {NAMESPACE} scale deployment {names} --replicas=0")
        yield
    finally:
        kubectl("cp1", f"-n {NAMESPACE} scale deployment {names} --replicas=1")


def _deployments(cluster: ClusterClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")["items"]
    return found


def _role(deployment: dict[str, Any]) -> str | None:
    labels: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return labels.get("app.kubernetes.io/component")


def _fewer(seen: int, wanted: int) -> str | None:
    return f"{seen} frames of {wanted}" if seen < wanted else None


def _waiting(lab: Lab, most: float) -> str | None:
    """None once no model has more frames to read than this."""
    lags = {model: lag(lab.cluster, model) for model in lab.models}
    return None if all(each is not None and each <= most for each in lags.values()) else f"frames to read: {lags}"
