"""A model that lags gets another executor and releases it after catching up; every frame is stored once."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.accounting import Audit
from tests.e2e.cluster import ClusterClient
from tests.e2e.conftest import Stack
from tests.e2e.load import wait_for_frames
from tests.e2e.machines import kubectl, stack_with
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

MODEL = "objects"
FRAMES_PER_SECOND = 0.2
"""Of each camera, 8 together: few enough for one executor, so that the second is removed."""

BACKLOG = 1000
"""Frames: more than one executor can process within the target on two cores."""

LIMIT_S = 600


def two_executors(config: dict[str, Any]) -> None:
    """Allow a second executor with short delays, under a load that one can process easily."""
    config["argus:producers"]["framesPerSecond"] = FRAMES_PER_SECOND
    for model in config["argus:models"]:
        if model["name"] == MODEL:
            model["executors"] = {"maximum": 2, "targetLagSeconds": 5, "coolDownSeconds": 30}
            model["coresPerExecutor"] = 1


def test_a_backlog_brings_an_executor_and_lets_it_go(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster = stack.cluster
    stack.up(stack_with(tmp_path, two_executors))
    try:
        wait_until("one executor", lambda: _not_so_many(cluster, 1), limit_s=LIMIT_S)
        audit = Audit.open(cluster)
        kubectl("cp1", f"-n argus scale deployment model-{MODEL} --replicas=0")
        wait_for_frames(cluster, BACKLOG, LIMIT_S)
        began = time.monotonic()
        kubectl("cp1", f"-n argus scale deployment model-{MODEL} --replicas=1")
        wait_until("a second executor", lambda: _not_so_many(cluster, 2), limit_s=LIMIT_S)
        timings.took("1000 frames behind: a second executor runs", time.monotonic() - began)
        wait_until("one executor again", lambda: _not_so_many(cluster, 1), limit_s=LIMIT_S)
        timings.took("1000 frames behind: the second executor has gone again", time.monotonic() - began, audit.close())
    finally:
        stack.up()


def _not_so_many(cluster: ClusterClient, wanted: int) -> str | None:
    """None once this many executors run."""
    labels = f"app.kubernetes.io/name=model-{MODEL},app.kubernetes.io/component=executor"
    phases = [each["status"]["phase"] for each in cluster.pods(labels) if "deletionTimestamp" not in each["metadata"]]
    return None if phases == ["Running"] * wanted else f"executors: {phases}"
