"""Machines are removed and added by editing the stack, while the cameras run."""

import json
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.config import Machine, machine, machines
from lab.machines import fleet
from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack, run_lab
from tests.e2e.machines import (
    EVERYBODY,
    at,
    edited_stack,
    etcd_members,
    known_by,
    missing_pods,
    on,
    on_standby,
    stack_that_reruns,
    traces,
    unready_nodes,
    without,
    workloads,
)
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

LIMIT_S = 300
SPARE = Machine(name="spare", address=IPv4Address("10.77.0.14"))


@pytest.fixture
def whole(stack: Stack) -> Stack:
    """The stack with all its machines, also after a test that failed while one was missing."""
    if unready_nodes(stack.cluster, EVERYBODY):
        _up(stack)
    wait_until("every node", lambda: unready_nodes(stack.cluster, EVERYBODY), limit_s=LIMIT_S)
    return stack


def _up(stack: Stack, config: Path | None = None) -> float:
    """Run `pulumi up`, by default with the stack's own file. Returns the seconds that it took."""
    began = time.monotonic()
    stack.up(config)
    return time.monotonic() - began


@pytest.mark.full
def test_a_worker_is_put_on_standby_and_brought_in_again(whole: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster, before = whole.cluster, workloads(whole.cluster)
    audit = Audit.open(cluster)
    removed_s = _up(whole, edited_stack(tmp_path, on_standby("worker2")))
    assert unready_nodes(cluster, [name for name in EVERYBODY if name != "worker2"]) is None
    left = traces(machine("worker2"))
    assert left == [], json.dumps(left, indent=2)
    wait_until("every pod elsewhere", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    removed = audit.close(on_disk=False)

    audit = Audit.open(cluster)
    added_s = _up(whole)
    wait_until("the worker", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    whole.up(expect_no_changes=True)
    timings.took("a worker removed", removed_s, removed)
    timings.took("a worker added", added_s, audit.close())


def test_losing_the_quorum_on_purpose_is_refused(whole: Stack, tmp_path: Path) -> None:
    config = edited_stack(tmp_path, without("cp2", "cp3"))
    with pytest.raises(AssertionError, match="loses its majority: take out one control plane at a time"):
        _up(whole, config)
    assert unready_nodes(whole.cluster, EVERYBODY) is None
    _up(whole)


@pytest.fixture
def spare() -> Iterator[Machine]:
    """A machine outside the stack, removed afterwards."""
    fleet.add(SPARE)
    yield SPARE
    fleet.remove(SPARE)


@pytest.mark.full
def test_a_dead_first_control_plane_is_replaced(whole: Stack, spare: Machine, tmp_path: Path, timings: Timings) -> None:
    cluster, first = whole.cluster, machine("cp1")
    audit = Audit.open(cluster)
    run_lab("kill", first.name)
    replaced_s = _up(whole, edited_stack(tmp_path, at(first.name, str(spare.address))))
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    assert etcd_members("cp2") == {
        **{each.name: str(each.address) for each in machines() if each.name in ("cp2", "cp3")},
        first.name: str(spare.address),
    }
    timings.took("the dead first control plane replaced", replaced_s, audit.close(on_disk=False))

    # Back as a new machine, because the old one's disks have an outdated state of the cluster.
    fleet.remove(first)
    fleet.add(first)
    fleet.kill(spare)
    _up(whole)
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    assert etcd_members("cp2") == {each.name: str(each.address) for each in machines() if each.name.startswith("cp")}


@pytest.mark.full
def test_a_control_plane_with_an_empty_disk_joins_again_when_its_key_is_given(
    whole: Stack, tmp_path: Path, timings: Timings
) -> None:
    cluster, lost, before = whole.cluster, machine("cp3"), workloads(whole.cluster)
    audit = Audit.open(cluster)
    fleet.remove(lost)
    fleet.add(lost)
    with pytest.raises(AssertionError, match=rf"cp3 \({lost.address}\): shows the SSH host key"):
        _up(whole, stack_that_reruns(tmp_path, "another host key"))
    (key,) = on("cp3", "cat /etc/ssh/ssh_host_ecdsa_key.pub")
    joined_s = _up(whole, edited_stack(tmp_path, known_by("cp3", key)))
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    assert etcd_members("cp1") == {each.name: str(each.address) for each in machines() if each.name.startswith("cp")}
    wait_until("every pod", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    timings.took("a control plane with an empty disk, its key given", joined_s, audit.close(on_disk=False))
    _up(whole)


@pytest.mark.full
def test_a_dead_worker_is_removed(whole: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster, before = whole.cluster, workloads(whole.cluster)
    audit = Audit.open(cluster)
    run_lab("kill", "worker1")
    removed_s = _up(whole, edited_stack(tmp_path, without("worker1")))
    assert unready_nodes(cluster, [name for name in EVERYBODY if name != "worker1"]) is None
    wait_until("every pod elsewhere", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    timings.took("a dead worker removed", removed_s, audit.close(on_disk=False))
    fleet.remove(machine("worker1"))
    fleet.add(machine("worker1"))
    _up(whole)
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)


@pytest.mark.full
def test_what_somebody_changed_by_hand_is_mended(whole: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster, before = whole.cluster, workloads(whole.cluster)
    audit = Audit.open(cluster)
    on("cp2", "systemctl stop haproxy && echo broken >>/etc/haproxy/haproxy.cfg")
    on("cp3", "systemctl disable --now argus-backup.timer && sysctl -qw net.ipv4.ip_forward=0")
    on("worker1", "kubeadm reset --force >/dev/null 2>&1; ip route flush proto 82")
    mended_s = _up(whole, stack_that_reruns(tmp_path, "a test"))
    assert on("cp2", "systemctl is-active haproxy && haproxy -c -q -f /etc/haproxy/haproxy.cfg") == ["active"]
    assert on("cp3", "systemctl is-active argus-backup.timer && sysctl -n net.ipv4.ip_forward") == ["active", "1"]
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    wait_until("every pod", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    timings.took("what was changed by hand on three machines mended", mended_s, audit.close())
    _up(whole)
