"""One machine loses its power: the API, the pods and every frame survive.

`make test` kills the most important machine, which holds the virtual IP; `make test-full` kills each in turn.
"""

import time
from collections import Counter
from collections.abc import Iterable

import pytest

from lab.config import kubernetes_endpoint
from tests.e2e.accounting import Audit
from tests.e2e.cluster import ClusterClient
from tests.e2e.conftest import Stack, run_lab
from tests.e2e.machines import (
    CONTROL_PLANES,
    EVERYBODY,
    holder_of_the_endpoint,
    kubectl,
    missing_pods,
    running,
    unready_nodes,
    workloads,
)
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

API_LIMIT_S, PODS_LIMIT_S, RETURN_LIMIT_S = 30, 150, 300
"""For a busy host. The targets are 10 s and 60 s; `make timings` shows measurements."""

STATEFUL = ("zookeeper/", "kafka/", "elasticsearch/", "consumer/")
"""These stay with their data and return with the machine; their other replicas serve meanwhile."""


@pytest.fixture(scope="module")
def whole(stack: Stack) -> Counter[str]:
    """The ready pods of each workload before the failure."""
    wait_until("every node", lambda: unready_nodes(stack.cluster, EVERYBODY), limit_s=RETURN_LIMIT_S)
    return workloads(stack.cluster)


@pytest.mark.parametrize(
    "victim",
    ["the holder of the virtual IP", *(pytest.param(name, marks=pytest.mark.full) for name in EVERYBODY)],
)
def test_a_dead_machine_is_missed_by_nobody(stack: Stack, whole: Counter[str], timings: Timings, victim: str) -> None:
    cluster = stack.cluster
    machine = victim if victim in EVERYBODY else holder_of_the_endpoint(CONTROL_PLANES)
    wait_until("its pods ready", lambda: missing_pods(cluster, whole), limit_s=RETURN_LIMIT_S)
    if not _movable(running(cluster), machine):
        _bring_the_ui_to(machine)
        wait_until("its pods ready", lambda: missing_pods(cluster, whole), limit_s=RETURN_LIMIT_S)
    placed = running(cluster)
    lost = _movable(placed, machine)
    assert lost, f"no pod that could go elsewhere runs on {machine}: {placed}"
    audit = Audit.open(cluster)

    killed = time.monotonic()
    run_lab("kill", machine)
    try:
        wait_until(f"the API at {kubernetes_endpoint()}", cluster.unreachable, limit_s=API_LIMIT_S, pause_s=0.2)
        api_s = time.monotonic() - killed
        wait_until(
            f"the pods of {machine} elsewhere",
            lambda: _not_elsewhere(cluster, placed, lost, machine),
            limit_s=PODS_LIMIT_S,
            pause_s=1,
        )
        pods_s = time.monotonic() - killed
    finally:
        run_lab("start", machine)
    wait_until("the machine back", lambda: unready_nodes(cluster, EVERYBODY), limit_s=RETURN_LIMIT_S)
    wait_until("every pod ready", lambda: missing_pods(cluster, whole), limit_s=RETURN_LIMIT_S)
    what = f"{victim} killed"
    timings.took(f"{what}: the API answers", api_s)
    timings.took(f"{what}: its pods run elsewhere", pods_s, audit.close())


def _movable(placed: Iterable[tuple[str, str]], machine: str) -> set[str]:
    """The workloads with a pod on this machine that can run on any other."""
    return {name for name, place in placed if place == machine and not name.startswith(STATEFUL)}


def _bring_the_ui_to(machine: str) -> None:
    """Move the UI's pod to this machine, so that a pod is lost with it."""
    others = " ".join(name for name in EVERYBODY if name != machine)
    kubectl(CONTROL_PLANES[0], f"cordon {others}")
    try:
        kubectl(CONTROL_PLANES[0], "-n argus delete pod -l app.kubernetes.io/name=ui")
    finally:
        kubectl(CONTROL_PLANES[0], f"uncordon {others}")


def _not_elsewhere(
    cluster: ClusterClient, placed: Counter[tuple[str, str]], lost: Iterable[str], machine: str
) -> str | None:
    """None once the workloads that lost a pod run as many as before on other machines."""
    now = running(cluster)
    missing = {}
    for name in lost:
        wanted = sum(count for (workload, _), count in placed.items() if workload == name)
        found = sum(count for (workload, place), count in now.items() if workload == name and place != machine)
        if found < wanted:
            missing[name] = f"{found} of {wanted}"
    return f"run elsewhere: {missing}" if missing else None
