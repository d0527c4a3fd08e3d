"""A part of a control plane fails while its machine lives: nobody else is touched."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import Stack
from tests.e2e.machines import CONTROL_PLANES, EVERYBODY, on, running, unready_nodes
from tests.e2e.waiting import wait_until

AWAY_S = 45
"""A node is lost after 20 s, and its pods move 15 s later."""
RETURN_LIMIT_S = 300
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
ASIDE = "/etc/kubernetes/kube-apiserver.aside"


@contextmanager
def without_api_server(machine: str) -> Iterator[None]:
    """While the machine's kubelet has no API server to run."""
    on(machine, f"mv {MANIFEST} {ASIDE}")
    try:
        wait_until("the API server to end", lambda: "it serves" if serves(machine) else None, limit_s=RETURN_LIMIT_S)
        yield
    finally:
        on(machine, f"mv {ASIDE} {MANIFEST}")
        wait_until("the API server back", lambda: None if serves(machine) else "not ready", limit_s=RETURN_LIMIT_S)


def serves(machine: str) -> bool:
    """Whether the machine's own API server answers that it is ready."""
    ask = "curl -ksf --max-time 2 -o /dev/null https://localhost:6443/readyz && echo yes || echo no"
    return on(machine, ask) == ["yes"]


@pytest.mark.parametrize("machine", [pytest.param(CONTROL_PLANES[0], marks=pytest.mark.full), CONTROL_PLANES[-1]])
def test_a_node_and_its_pods_outlive_its_api_server(stack: Stack, machine: str) -> None:
    cluster = stack.cluster
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=RETURN_LIMIT_S)
    before = {pod for pod in running(cluster) if pod[1] == machine}
    with without_api_server(machine):
        until = time.monotonic() + AWAY_S
        while time.monotonic() < until:
            assert unready_nodes(cluster, EVERYBODY) is None
            time.sleep(2)
        assert before <= set(running(cluster))
