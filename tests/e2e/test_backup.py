"""etcd's snapshots, and the restore from one after two of three members have lost their data."""

import time
from pathlib import Path

import pytest

from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack
from tests.e2e.machines import (
    EVERYBODY,
    edited_stack,
    etcd_members,
    kubectl,
    lose_etcd,
    missing_pods,
    on,
    unready_nodes,
    without,
    workloads,
)
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

LIMIT_S = 420


def test_a_backup_holds_the_snapshot_and_none_of_the_cluster_s_keys(stack: Stack) -> None:
    on("cp1", "systemctl is-active argus-backup.timer")
    (backup,) = on("cp1", "/usr/local/lib/argus/backup-etcd 2>/dev/null")
    assert on("cp1", f"tar --list --file {backup}") == ["./etcd.db"]
    assert on("cp1", f"stat -c %a-%U {backup}") == ["600-root"]


@pytest.mark.full
def test_the_cluster_comes_back_when_its_majority_is_lost(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster, lost = stack.cluster, ("cp2", "cp3")
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    before, audit = workloads(cluster), Audit.open(cluster)
    kubectl("cp1", "-n default create configmap remembered")
    on("cp1", "/usr/local/lib/argus/backup-etcd")
    lose_etcd(cluster, lost)

    began = time.monotonic()
    print("\n".join(on("cp1", "/usr/local/lib/argus/restore-etcd")))
    wait_until("the API at its address", cluster.unreachable, limit_s=60)
    timings.took("etcd restored on one control plane: the API answers again", time.monotonic() - began)
    assert kubectl("cp1", "-n default get configmap remembered -o name") == ["configmap/remembered"]
    kubectl("cp1", "-n default delete configmap remembered")

    began = time.monotonic()
    stack.up(edited_stack(tmp_path, without(*lost)))
    assert set(etcd_members("cp1")) == {"cp1"}
    stack.up()
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=LIMIT_S)
    assert set(etcd_members("cp1")) == {"cp1", *lost}
    changed_s = time.monotonic() - began
    wait_until("every pod", lambda: missing_pods(cluster, before), limit_s=LIMIT_S)
    timings.took("the two lost control planes out and in again", changed_s, audit.close(on_disk=False))
