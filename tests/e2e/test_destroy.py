"""`pulumi destroy` leaves the machines as they were. These run last, as what runs after them has no cluster."""

import json

import pytest

from lab.config import machines
from tests.e2e.conftest import UP_LIMIT_S, Stack, make
from tests.e2e.machines import lose_etcd, traces


@pytest.mark.full
def test_the_next_up_after_a_destroy_succeeds(stack: Stack) -> None:
    stack.destroy()
    up_from_bare_machines(stack)


@pytest.mark.full
def test_a_cluster_whose_majority_is_lost_is_given_up(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_etcd(stack.cluster, ("cp2", "cp3"))
    monkeypatch.setenv("ARGUS_CLUSTER_LOST", "true")
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    stack.destroy()
    monkeypatch.undo()
    up_from_bare_machines(stack)


def test_destroy_leaves_bare_machines(stack: Stack) -> None:
    stack.destroy()
    assert_bare()


def up_from_bare_machines(stack: Stack) -> None:
    """Fails if a machine still has anything of the cluster."""
    assert_bare()
    make("up", UP_LIMIT_S)
    stack.connect()
    assert len(stack.cluster.nodes()) == len(machines())


def assert_bare() -> None:
    """Fails, naming it, if a machine still has anything of the cluster."""
    left = {machine.name: traces(machine) for machine in machines()}
    assert not any(left.values()), json.dumps(left, indent=2)
