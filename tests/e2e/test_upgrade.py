"""A changed version in the stack upgrades Kubernetes while cameras run, also after `pulumi up` was killed midway."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components import versions
from tests.e2e.accounting import Audit
from tests.e2e.conftest import PULUMI_LIMIT_S, Stack, run_lab
from tests.e2e.machines import EVERYBODY, kubectl, missing_pods, on, stack_of_version, unready_nodes, workloads
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

LIMIT_S = 300


def exists(machine: str, path: str) -> bool:
    return on(machine, f"ls -d {path} 2>/dev/null || true") != []


def pods_of_the_pipeline() -> bool:
    return kubectl("cp1", "get pods --namespace argus --output name 2>/dev/null || true") != []


MOMENTS: dict[str, Callable[[], bool]] = {
    "the first machine has its programs": lambda: exists("cp1", "/usr/local/bin/kubeadm"),
    "the first control plane starts": lambda: exists("cp1", "/etc/kubernetes/manifests/kube-apiserver.yaml"),
    "the second control plane joins": lambda: exists("cp2", "/etc/kubernetes/manifests/etcd.yaml"),
    "the pipeline's pods start": pods_of_the_pipeline,
}
"""Moments in the creation of a cluster."""


@pytest.fixture
def older(stack: Stack, tmp_path: Path) -> Stack:
    """The stack with the previous Kubernetes version, recreated by an `up` that was killed at each of MOMENTS."""
    version = run_lab("previous", limit_s=PULUMI_LIMIT_S).strip()
    config = stack_of_version(tmp_path, version)
    stack.destroy()
    for moment, reached in MOMENTS.items():
        stack.up_killed(moment, reached, config)
    stack.up(config)
    stack.up(config, expect_no_changes=True)
    stack.connect()
    assert kubelets(stack) == dict.fromkeys(EVERYBODY, f"v{version}")
    return stack


def kubelets(stack: Stack) -> dict[str, str]:
    """The kubelet's version on each node."""
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in stack.cluster.nodes()}


def control_plane_images() -> set[str]:
    """Name and tag of every image of the control planes' static pods."""
    lines = kubectl("cp1", "-n kube-system get pods -l tier=control-plane -o jsonpath='{..containers[*].image}'")
    return {image.rpartition("/")[2] for line in lines for image in line.split()}


def test_an_interrupted_upgrade_is_finished_and_no_frame_is_lost(
    older: Stack, tmp_path: Path, timings: Timings
) -> None:
    before_upgrade = kubelets(older)["cp1"].removeprefix("v")
    cluster, wanted = older.cluster, f"v{versions.KUBERNETES}"
    before = workloads(cluster)
    audit = Audit.open(cluster)

    began = time.monotonic()
    older.up_killed(
        "the second node is upgraded",
        lambda: kubelets(older)["cp1"] == wanted and exists("cp2", "/etc/kubernetes/tmp/kubeadm-backup-*"),
        stack_of_version(tmp_path, versions.KUBERNETES),
    )
    first_s = time.monotonic() - began
    began = time.monotonic()
    older.up()
    rest_s = time.monotonic() - began

    assert kubelets(older) == dict.fromkeys(EVERYBODY, wanted)
    assert not [node for node in cluster.nodes() if node["spec"].get("unschedulable")]
    components = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    assert {f"{component}:{wanted}" for component in components} < control_plane_images()
    wait_until("every pod", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    assert unready_nodes(cluster, EVERYBODY) is None
    timings.took("Kubernetes upgraded, killed once and finished", first_s + rest_s, audit.close())

    older.up(expect_no_changes=True)
    with pytest.raises(AssertionError, match="Kubernetes does not go back to 1"):
        older.pulumi("preview", "--config-file", str(stack_of_version(tmp_path, before_upgrade)))
