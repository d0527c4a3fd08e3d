"""The load rises and falls: executors and consumers follow it, and every frame is stored once.

This also holds with a pod of each stage killed, and with a worker lost. `artifacts/load-*.png` shows each run.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack, run_lab
from tests.e2e.load import STAGES, Watch, lag, names, pods
from tests.e2e.machines import EVERYBODY, kubectl, stack_with, unready_nodes
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

LOW, HIGH = 0.1, 0.9
"""Frames/s of each of 40 cameras: 4 and 36 together. The latter is more than one executor can process on the lab's two
cores beside all else (28 was sustained for minutes on a quiet host); two executors catch up afterwards."""

QUIET_S, BUSY_S = 45, 150
"""How long the load stays low at first, and the shortest time that it stays high."""

TARGET_LAG_S = 10
FEW, MANY = {"executors": 1, "filebeat": 1, "consumer": 2}, {"executors": 2, "filebeat": 1, "consumer": 3}
"""Filebeat may scale to two but stays at one, which is enough for any load of the lab."""

SETTLED_LIMIT_S, OUT_LIMIT_S, CAUGHT_UP_LIMIT_S, IN_LIMIT_S, NODES_LIMIT_S = 900, 400, 600, 600, 300

CONSUMER_LAG = {"recordsPerSecond": 60, "targetLagSeconds": 0.5}
"""Some 12 records wait at the low load and more than 60 at the high one, as consumers commit once a second.

No load of the lab makes consumers fall behind, and how many millicores they use depends on how fast the host is.
"""


def scaled(frames_per_second: float, consumers: dict[str, int]) -> Callable[[dict[str, Any]], None]:
    """Allow every stage that scales one pod more than it needs."""

    def edit(config: dict[str, Any]) -> None:
        config["argus:producers"]["framesPerSecond"] = frames_per_second
        soon = {"targetLagSeconds": TARGET_LAG_S, "coolDownSeconds": 30}
        for model in config["argus:models"]:
            if model["name"] == "objects":
                model["executors"] = {"maximum": 2, **soon}
                model["coresPerExecutor"] = 1
                # The load must not depend on how much moves in the footage.
                model["gate"] = {"enabled": False}
        config["argus:filebeat"] = {"replicas": {"maximum": 2, **soon}}
        consumer = {**consumers, **soon, **CONSUMER_LAG}
        config.setdefault("argus:consumer", {})["replicas"] = consumer

    return edit


def nothing(_: Stack) -> None:
    """Cause no failure beside the load."""


def a_pod_of_each_stage(stack: Stack) -> None:
    """Kill the last pod of each stage without a graceful stop."""
    for stage in STAGES:
        pod = sorted(names(stack.cluster, stage))[-1]
        kubectl("cp1", f"-n argus delete pod {pod} --grace-period=0 --force --wait=false")


def a_worker(_: Stack) -> None:
    """Cut the power of a machine."""
    run_lab("kill", "worker2")


@pytest.mark.parametrize("lost", [nothing, a_pod_of_each_stage, a_worker], ids=lambda lost: lost.__name__)
def test_pods_follow_the_load(
    stack: Stack, tmp_path: Path, artifacts: Path, timings: Timings, lost: Callable[[Stack], None]
) -> None:
    cluster = stack.cluster
    run_lab("keda")

    def up(frames_per_second: float, consumers: dict[str, int]) -> None:
        file = stack_with(tmp_path, scaled(frames_per_second, consumers))
        stack.up(file)

    def until(wanted: dict[str, int], limit_s: float) -> None:
        wait_until(f"pods {wanted}", lambda: None if (seen := pods(cluster)) == wanted else str(seen), limit_s)

    def until_caught_up(limit_s: float) -> None:
        wait_until("the lag at its target", lambda: _behind(lag(cluster)), limit_s)

    between = {"minimum": 2, "maximum": 3}
    watch = Watch(cluster, stack.login)
    try:
        up(LOW, between)
        # The model's driver was restarted and finds a backlog that makes it request executors.
        until_caught_up(SETTLED_LIMIT_S)
        until(FEW, IN_LIMIT_S)
        audit = Audit.open(cluster)
        with watch.running():
            watch.mark("low")
            time.sleep(QUIET_S)
            assert pods(cluster) == FEW, "what is needed is there already"
            up(HIGH, between)
            began = watch.mark("high")
            until(MANY, OUT_LIMIT_S)
            out_s = watch.mark("all there") - began
            if lost is not nothing:
                lost(stack)
                watch.mark(f"{lost.__name__.replace('_', ' ')} lost")
            time.sleep(max(0, began + BUSY_S - watch.elapsed))
            if lost is a_worker:
                run_lab("start", "worker2")
                wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), NODES_LIMIT_S)
            up(LOW, between)
            began = watch.mark("low")
            until_caught_up(CAUGHT_UP_LIMIT_S)
            caught_up_s = watch.mark("caught up") - began
            until(FEW, IN_LIMIT_S)
            in_s = watch.mark("all gone") - began
    finally:
        if lost is a_worker:
            run_lab("start", "worker2")
        watch.save(artifacts, f"load-{lost.__name__}")
    # Files of a removed consumer cannot be read until it is back. It is a range of numbers still: with a fixed one the
    # autoscaler, which goes last, may take the pod away once more.
    up(LOW, {"minimum": 3, "maximum": 4})
    frames = audit.close()
    what = "the load rises" if lost is nothing else f"the load rises, {lost.__name__.replace('_', ' ')} lost"
    timings.took(f"{what}: a pod more of each stage", out_s)
    timings.took(f"{what} and falls: the lag is at its target", caught_up_s)
    timings.took(f"{what} and falls: they have gone", in_s, frames)


@pytest.fixture(scope="module", autouse=True)
def restored(stack: Stack) -> Any:
    """Restore the stack after the test."""
    yield
    stack.up()


def _behind(seen: float | None) -> str | None:
    target = TARGET_LAG_S * LOW * 40
    return None if seen is not None and seen <= target else f"{seen} frames wait, and {target:.0f} are the target"
