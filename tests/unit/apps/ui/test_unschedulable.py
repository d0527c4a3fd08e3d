"""Which pods cannot be scheduled, and the page's advice for them."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.ui.unschedulable import UnschedulablePod, UnschedulablePods, advice, unschedulable

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
REASON = (
    "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) didn't match pod anti-affinity rules. "
    "preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."
)


def pod(name: str, *requests: dict[str, str], seconds: int = 60, reason: str = "Unschedulable") -> dict[str, Any]:
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": REASON}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": str(n), "resources": {"requests": each}} for n, each in enumerate(requests)]},
        "status": {"phase": "Pending", "conditions": [condition | {"lastTransitionTime": since}]},
    }


def test_the_advice_names_the_pods_and_what_to_add() -> None:
    pods = [
        pod("filebeat-b", {"cpu": "20m", "memory": "96Mi"}, seconds=30),
        pod("objects-exec-2", {"cpu": "0.2", "memory": "1Gi"}, {"memory": "1024Ki"}, seconds=90),
    ]
    assert advice(unschedulable(pods, NOW)) == (
        "No machine has had room for objects-exec-2 and 1 more since 11:58:30 UTC: 0/5 nodes are available: "
        "2 Insufficient cpu, 3 node(s) didn't match pod anti-affinity rules. Add a machine with 0.22 cores "
        "and 1121 MiB free to argus:machines.workers, or lower the stage's maximum."
    )


def test_a_spare_machine_is_suggested_first() -> None:
    said = advice(unschedulable([pod("filebeat-b", {"cpu": "20m", "memory": "96Mi"})], NOW), ["worker3", "worker4"])
    assert said is not None
    assert "Remove `standby` from the entry of worker3 or worker4 (0.02 cores and 96 MiB are needed), or lower" in said


def test_a_pod_that_may_still_be_scheduled_is_not_reported() -> None:
    assert unschedulable([pod("new", {}, seconds=10), pod("gated", {}, reason="SchedulingGated")], NOW) == []
    assert advice([]) is None


def test_a_pod_that_pulls_its_image_is_scheduled() -> None:
    placed = pod("pulling", {})
    placed["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    assert unschedulable([placed, {**placed, "status": {"phase": "Pending"}}], NOW) == []


@pytest.mark.parametrize(
    ("memory", "mib"), [("128Mi", 128), ("1Gi", 1024), ("134217728", 128), ("1M", 0), ("2048Ki", 2)]
)
def test_quantities(memory: str, mib: int) -> None:
    found = UnschedulablePod.from_pod(pod("x", {"memory": memory}))
    assert found is not None and found.memory_mib == mib


def test_without_a_service_account_there_is_no_advice(tmp_path: Path) -> None:
    pods = UnschedulablePods(account=tmp_path)
    asyncio.run(pods.run())
    assert pods.advice is None
