"""Executors alone: the frames' topic is filled while no driver runs, and emptied with the cameras at rest.

What they do then is what the two cores give to executors beside the resting lab, which loop B shows for the bare
detector: nothing captures, and consumers and Filebeat have no more to do than the executors give them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab.config import LabError
from lab.progress import say
from tests.bench.frames.figures import slope
from tests.bench.frames.lab import DRAIN_LIMIT_S, Lab
from tests.bench.frames.report import Filled
from tests.bench.frames.stack import AT_REST
from tests.bench.frames.step import followed
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.load import lag, wait_for_frames
from tests.e2e.machines import kubectl
from tests.e2e.waiting import wait_until

RATE = 60.0
"""Frames/s at which the topic is filled: the machines have nothing else to do."""
_DRIVERS = "app.kubernetes.io/component=driver"
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
        say(f"filling the topic with {frames} frames")
        wait_for_frames(lab.cluster, frames, _FILL_LIMIT_S)
        lab.apply(AT_REST)
    wait_until("executors at work", lambda: _waiting(lab, frames * (1 - _STARTED)), _START_LIMIT_S)
    seen, cpu, _ = followed(lab, "executors alone", seconds)
    rates = {model: emptied(seen.at, lags, frames * _NEARLY_EMPTY) + AT_REST for model, lags in seen.lags.items()}
    lab.wait_until_drained(AT_REST, DRAIN_LIMIT_S)
    return Filled(frames=frames, rates=rates, cpu=cpu)


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
    found = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", labelSelector=_DRIVERS)
    names = " ".join(each["metadata"]["name"] for each in found["items"])
    try:
        kubectl("cp1", f"-n {NAMESPACE} scale deployment {names} --replicas=0")
        yield
    finally:
        kubectl("cp1", f"-n {NAMESPACE} scale deployment {names} --replicas=1")


def _waiting(lab: Lab, most: float) -> str | None:
    """None once no model has more frames to read than this."""
    lags = {model: lag(lab.cluster, model) for model in lab.models}
    return None if all(each is not None and each <= most for each in lags.values()) else f"frames to read: {lags}"
