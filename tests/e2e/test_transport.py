"""A stack whose services are in plain and whose network is open goes over to TLS and enforced policies, as
docs/operations.md has it, while the cameras run: no frame is lost, there or on the way back.
"""

import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components.config.lasting import next_step
from components.config.sections import SearchTransport, Transport
from components.pipeline import elasticsearch, elasticsearch_peers, elasticsearch_proxy, kafka, zookeeper
from tests.e2e.accounting import Audit
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.conftest import Stack, kept, run_lab
from tests.e2e.machines import kubectl, stack_with
from tests.e2e.refusals import members, refusals
from tests.e2e.strangers import Target, listening
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full  # 30 to 60 minutes

SETTLED_LIMIT_S = 300
ESTABLISHED = "01"
"""As /proc/net/tcp says it."""


class Step(NamedTuple):
    """Where a stack is on its way; an update takes it to the next one."""

    kafka: Transport
    search: SearchTransport
    nodes: Transport
    policies: str


STEPS = (
    Step("plain", "plain", "plain", "declared"),
    Step("both", "both", "both", "enforced"),
    Step("prefer", "both", "prefer", "enforced"),
    Step("tls", "tls", "tls", "enforced"),
)
IN_PLAIN, *_, CLOSED = STEPS


def go(stack: Stack, folder: Path, wanted: Step) -> None:
    """Take the stack to a step, with an update for each on the way and an autoscaler that reads Kafka."""

    def edit(config: dict[str, Any]) -> None:
        config.setdefault("argus:kafka", {})["transport"] = step.kafka
        config.setdefault("argus:elasticsearch", {}).update(transport=step.search, nodeTransport=step.nodes)
        config["argus:cluster"]["networkPolicies"] = step.policies
        config.setdefault("argus:filebeat", {})["replicas"] = {"maximum": 2}

    while (now := step_now()) != wanted:
        step = next_step(STEPS, now, wanted)
        stack.up(stack_with(folder, edit))


def step_now() -> Step:
    """The step at which the stack is, as the last update that came to its end has left it."""
    transports = kept()
    keys = ("kafka.transport", "elasticsearch.transport", "elasticsearch.nodeTransport")
    here = tuple(transports.get(key) for key in keys)
    found = [step for step in STEPS if (step.kafka, step.search, step.nodes) == here]
    assert found, f"the stack is at no step of the way: {here}"
    return found[0]


def peers(pod: str, container: str, port: int) -> set[str]:
    """The addresses that are connected to a port of a pod."""
    found = set()
    for line in kubectl("cp1", f"-n {NAMESPACE} exec {pod} -c {container} -- cat /proc/net/tcp /proc/net/tcp6"):
        _, here, there, state, *_ = line.split()
        if state == ESTABLISHED and int(here.rpartition(":")[2], 16) == port:
            # The last four bytes, also of an IPv6 address that stands for an IPv4 one, the lowest first.
            found.add(str(IPv4Address(bytes.fromhex(there.partition(":")[0][-8:])[::-1])))
    return found - {"127.0.0.1"}


def still_at(service: str, port: int) -> str | None:
    found = {pod: sorted(peers(pod, service, port)) for pod in members(service)}
    return f"at port {port}: {found}" if any(found.values()) else None


def not_scaling(autoscaler: str) -> str | None:
    """What keeps an autoscaler from reading what it follows."""
    path = '{.status.conditions[?(@.type=="ScalingActive")].status}'
    said = kubectl("cp1", f"-n {NAMESPACE} get hpa {autoscaler} -o jsonpath='{path}'")
    return None if said == ["True"] else f"ScalingActive: {said}"


def answers(cluster: ClusterClient, pod: str, port: int) -> bool:
    """Whether a pod's port is reached from its own machine, which no policy forbids."""
    (found,) = (each for each in cluster.pods() if each["metadata"]["name"] == pod)
    return bool(listening({found["spec"]["nodeName"]: [Target(pod, found["status"]["podIP"], port)]}))


@pytest.fixture
def in_plain(stack: Stack, tmp_path: Path, timings: Timings) -> Iterator[None]:
    """The stack as versions before TLS have left it, and afterwards as it came."""
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    try:
        run_lab("keda")
        go(stack, tmp_path, IN_PLAIN)
        timings.took("the services go from TLS to plain, in three updates", time.monotonic() - began, audit.close())
        yield
    finally:
        go(stack, tmp_path, CLOSED)
        stack.up()


@pytest.mark.usefixtures("in_plain")
def test_everybody_goes_over_to_tls_and_no_frame_is_lost(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    cluster, (both, prefer, tls) = stack.cluster, STEPS[1:]

    go(stack, tmp_path, both)
    assert still_at("kafka", kafka.TLS_PORT) is None
    assert still_at("kafka", kafka.PORT) is not None
    wait_until(
        "nobody to ask Elasticsearch in plain", lambda: still_at("elasticsearch", elasticsearch.HTTP), SETTLED_LIMIT_S
    )
    assert still_at("elasticsearch", elasticsearch_proxy.HTTPS) is not None
    assert still_at("elasticsearch", elasticsearch_peers.NODE) is not None

    go(stack, tmp_path, prefer)
    wait_until("nobody to connect to Kafka in plain", lambda: still_at("kafka", kafka.PORT), SETTLED_LIMIT_S)
    assert still_at("kafka", kafka.TLS_PORT) is not None
    wait_until(
        "no node to connect to another in plain",
        lambda: still_at("elasticsearch", elasticsearch_peers.NODE),
        SETTLED_LIMIT_S,
    )
    assert still_at("elasticsearch", elasticsearch_peers.DOOR) is not None
    wait_until("KEDA to read what waits", lambda: not_scaling("filebeat"), SETTLED_LIMIT_S)
    assert refusals() == {}

    go(stack, tmp_path, tls)
    plain = (
        ("kafka", kafka.PORT),
        ("zookeeper", zookeeper.CLIENT),
        ("elasticsearch", elasticsearch.HTTP),
        ("elasticsearch", elasticsearch_peers.NODE),
    )
    found = [(pod, port) for service, port in plain for pod in members(service) if answers(cluster, pod, port)]
    assert found == [], "these still answer in plain"
    doors = (elasticsearch_proxy.HTTPS, elasticsearch_peers.DOOR)
    closed = [(pod, door) for pod in members("elasticsearch") for door in doors if not answers(cluster, pod, door)]
    assert closed == [], "these do not answer with TLS"
    assert refusals() == {}
    took_s = time.monotonic() - began
    timings.took("the services go from plain to TLS, in three updates", took_s, audit.close())
