"""Stages with far too little or too much memory are resized to near their use, while they run.

Brokers with too little are restarted one at a time. Elasticsearch's nodes follow the same rule, but cannot have too
little here: even their smallest heap gives them more than they use on the lab.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from apps.ui.unschedulable import quantity
from tests.e2e.accounting import Audit
from tests.e2e.cluster import NAMESPACE, ClusterClient, is_ready
from tests.e2e.conftest import Stack, run_lab
from tests.e2e.machines import stack_with
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

TOO_LITTLE, TOO_MUCH = "producer", "ui"
"""The name in their pods' labels."""
LITTLE_MIB, MUCH_MIB = 16, 1024
"""A tenth of a producer's use, and many times the UI's."""

SMALL_HEAP_MIB = 224
"""A broker with this heap has 416 MiB in all: less than it uses, page cache included."""

LIMIT_S = 1200


def sized(config: dict[str, Any]) -> None:
    """Give far too little and far too much memory, and only observe one stage."""
    config["argus:vertical"] = {"settleMinutes": 3}
    config["argus:producers"] |= {"vertical": "apply", "memory": {"requestMiB": LITTLE_MIB, "limitMiB": 512}}
    config["argus:ui"] |= {"vertical": "apply", "memory": {"requestMiB": MUCH_MIB, "limitMiB": MUCH_MIB + 256}}
    config["argus:kafka"] |= {"vertical": "recommend"}


def test_memory_follows_use(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster = stack.cluster
    run_lab("vpa")
    stack.up(stack_with(tmp_path, sized))
    try:
        given = _requests(cluster, TOO_LITTLE) | _requests(cluster, TOO_MUCH)
        brokers = _requests(cluster, "kafka")
        audit = Audit.open(cluster)
        began = time.monotonic()
        wait_until("more for who has too little", lambda: _far_from_use(cluster, TOO_LITTLE), limit_s=LIMIT_S)
        more_s = time.monotonic() - began
        wait_until("less for who has too much", lambda: _far_from_use(cluster, TOO_MUCH), limit_s=LIMIT_S)
        less_s = time.monotonic() - began
        wait_until("a recommendation for Kafka", lambda: _not_recommended(cluster, "kafka"), limit_s=LIMIT_S)
        frames = audit.close()
        assert _requests(cluster, "kafka") == brokers, "what is only recommended changes nothing"
        # The same pods, none of them restarted.
        assert _requests(cluster, TOO_LITTLE).keys() | _requests(cluster, TOO_MUCH).keys() == given.keys()
        assert sum(_restarts(cluster, TOO_LITTLE) + _restarts(cluster, TOO_MUCH)) == 0
    finally:
        stack.up()
    timings.took("far too little memory: a pod has what it uses", more_s)
    timings.took("far too much memory: a pod has what it uses", less_s, frames)


def small_brokers(config: dict[str, Any]) -> None:
    """Give brokers too little memory."""
    config["argus:vertical"] = {"settleMinutes": 3}
    config["argus:kafka"] |= {"heapMiB": SMALL_HEAP_MIB, "vertical": "apply"}


def test_brokers_get_more_one_at_a_time(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster = stack.cluster
    run_lab("vpa")
    stack.up(stack_with(tmp_path, small_brokers))
    # Read from the StatefulSet, because a pod that starts after the first recommendation already has more.
    spec = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/kafka")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    replicas, given = spec["replicas"], _mib(container["resources"]["requests"]["memory"])
    away: set[int] = set()

    def too_little() -> str | None:
        pods = _pods(cluster, "kafka")
        away.add(sum(not is_ready(pod) for pod in pods) + replicas - len(pods))
        requests = _requests(cluster, "kafka")
        small = {name: mib for name, mib in requests.items() if mib <= given}
        return f"MiB: {small}, of {requests}" if small or min(len(requests), len(pods)) < replicas else None

    try:
        audit = Audit.open(cluster)
        began = time.monotonic()
        wait_until("more for every pod", too_little, limit_s=LIMIT_S)
        more_s = time.monotonic() - began
        frames = audit.close()
        assert max(away) <= 1, f"at a time, so many pods were away: {sorted(away)}"
        heaps = [_heap_mib(pod) for pod in _pods(cluster, "kafka")]
        assert min(heaps) > SMALL_HEAP_MIB, f"heaps of {heaps} MiB"
    finally:
        stack.up()
    timings.took("too little memory for brokers: every one has more", more_s, frames)


def _heap_mib(pod: dict[str, Any]) -> float:
    """A broker's maximum Java heap: a share of its container's limit."""
    (container,), (status,) = pod["spec"]["containers"], pod["status"]["containerStatuses"]
    (share,) = re.findall(r"-XX:MaxRAMPercentage=([\d.]+)", json.dumps(container["env"]))
    return float(share) / 100 * _mib(status["resources"]["limits"]["memory"])


def _pods(cluster: ClusterClient, name: str) -> list[dict[str, Any]]:
    pods = cluster.pods(_named(name))
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def _named(name: str) -> str:
    return f"app.kubernetes.io/name={name}"


def _requests(cluster: ClusterClient, name: str) -> dict[str, float]:
    """The allocated memory of each started pod in MiB."""
    return {
        pod["metadata"]["name"]: _mib(status["resources"]["requests"]["memory"])
        for pod in _pods(cluster, name)
        for status in pod["status"].get("containerStatuses", [])
        if status.get("resources", {}).get("requests")
    }


def _restarts(cluster: ClusterClient, name: str) -> list[int]:
    return [status["restartCount"] for pod in _pods(cluster, name) for status in pod["status"]["containerStatuses"]]


def _far_from_use(cluster: ClusterClient, name: str) -> str | None:
    """None once each pod's request is at least its use and less than twice that."""
    seen = cluster.get(f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods", labelSelector=_named(name))
    used = {pod["metadata"]["name"]: _mib(pod["containers"][0]["usage"]["memory"]) for pod in seen["items"]}
    requests = _requests(cluster, name)
    far = {
        pod: f"uses {used.get(pod, 0):.0f} MiB of {request:.0f}"
        for pod, request in requests.items()
        if not used.get(pod, 0) <= request < 2 * used.get(pod, 0)
    }
    return json.dumps(far) if far or not requests else None


def _not_recommended(cluster: ClusterClient, name: str) -> str | None:
    path = f"/apis/autoscaling.k8s.io/v1/namespaces/{NAMESPACE}/verticalpodautoscalers/{name}"
    status = cluster.get(path).get("status", {})
    return None if status.get("recommendation", {}).get("containerRecommendations") else f"status: {status}"


def _mib(memory: str) -> float:
    return quantity(memory) / 2**20
