"""A worker with the other Debian joins the running lab, works there, and leaves; the cameras run."""

import json
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.config import SUITE, SUITES, Machine
from lab.machines import fleet
from tests.e2e.accounting import Audit
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.conftest import Stack
from tests.e2e.machines import (
    EVERYBODY,
    edited_stack,
    joined_by,
    kubectl,
    missing_pods,
    on_host,
    permanent_pods,
    running,
    traces,
    unready_nodes,
    workloads,
)
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

LIMIT_S = 300
(OTHER,) = (suite for suite in SUITES if suite != SUITE)
NEW = Machine(name="worker3", address=IPv4Address("10.77.0.23"), suite=OTHER)
VERSION = "13"


@pytest.fixture
def new(stack: Stack) -> Iterator[Machine]:
    """A machine of the other suite outside the stack. It is out of the stack, and removed, also after a failure."""
    if unready_nodes(stack.cluster, EVERYBODY):
        stack.up()
    wait_until("every node", lambda: unready_nodes(stack.cluster, EVERYBODY), limit_s=LIMIT_S)
    fleet.add(NEW)
    yield NEW
    kubectl("cp1", f"uncordon {' '.join(EVERYBODY)}")
    if unready_nodes(stack.cluster, EVERYBODY):
        stack.up()
    fleet.remove(NEW)


def without_volumes(cluster: ClusterClient) -> dict[str, str]:
    """The pods of the pipeline that may run anywhere: the workload by the pod's name."""
    return {
        pod["metadata"]["name"]: workload
        for workload, pod in permanent_pods(cluster)
        if any(owner["kind"] == "ReplicaSet" for owner in pod["metadata"].get("ownerReferences", ()))
    }


def elsewhere(cluster: ClusterClient, wanted: set[str]) -> str | None:
    """None once each of these workloads runs on the new machine; until then those that do not."""
    there = {workload for (workload, node), pods in running(cluster).items() if node == NEW.name and pods}
    return f"not on {NEW.name}: {sorted(wanted - there)}" if wanted - there else None


def move_to_the_new_machine(cluster: ClusterClient) -> None:
    """Let the pods that may run anywhere start again while no other machine takes any."""
    pods = without_volumes(cluster)
    assert any("producer" in workload for workload in pods.values())
    kubectl("cp1", f"cordon {' '.join(EVERYBODY)}")
    try:
        kubectl("cp1", f"--namespace {NAMESPACE} delete pod --wait=false {' '.join(pods)}")
        wait_until("the pods on the new machine", lambda: elsewhere(cluster, set(pods.values())), limit_s=LIMIT_S)
    finally:
        kubectl("cp1", f"uncordon {' '.join(EVERYBODY)}")


def test_a_worker_with_the_other_debian_joins_works_and_leaves(
    stack: Stack, new: Machine, tmp_path: Path, timings: Timings
) -> None:
    assert on_host(new, ". /etc/os-release; echo $VERSION_ID") == [VERSION]
    cluster, before = stack.cluster, workloads(stack.cluster)
    audit = Audit.open(cluster)
    joined = edited_stack(tmp_path, joined_by(new))
    began = time.monotonic()
    stack.up(joined)
    added_s = time.monotonic() - began
    wait_until("every node", lambda: unready_nodes(cluster, [*EVERYBODY, new.name]), limit_s=LIMIT_S)
    (node,) = (each for each in cluster.nodes() if each["metadata"]["name"] == new.name)
    assert node["status"]["nodeInfo"]["osImage"].startswith(f"Debian GNU/Linux {VERSION} ")
    stack.up(joined, expect_no_changes=True)

    move_to_the_new_machine(cluster)
    wait_until("every pod", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    timings.took("a worker with Debian 13 added, and the pods without volumes moved to it", added_s, audit.close())

    audit = Audit.open(cluster)
    began = time.monotonic()
    stack.up()
    removed_s = time.monotonic() - began
    assert unready_nodes(cluster, EVERYBODY) is None
    left = traces(new)
    assert left == [], json.dumps(left, indent=2)
    wait_until("every pod elsewhere", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    timings.took("a worker with Debian 13 removed", removed_s, audit.close(on_disk=False))
    stack.up(expect_no_changes=True)
