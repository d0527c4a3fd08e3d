"""Kafka and ZooKeeper go from TLS to plain and back in steps, while the cameras run: no frame is lost."""

import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

import pytest

from components.config.lasting import next_step
from components.config.sections import TRANSPORTS, Transport
from components.pipeline import zookeeper
from components.pipeline.kafka import PORT, TLS_PORT
from tests.e2e.accounting import Audit
from tests.e2e.conftest import Stack, kept, run_lab
from tests.e2e.machines import kubectl, stack_with
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

BROKERS = ("kafka-0", "kafka-1", "kafka-2")
MEMBERS = ("zookeeper-0", "zookeeper-1", "zookeeper-2")
SETTLED_LIMIT_S = 300
ESTABLISHED = "01"
"""As /proc/net/tcp says it."""


def up(stack: Stack, folder: Path, transport: Transport) -> None:
    """Take the stack to a step, with an autoscaler that reads Kafka."""

    def edit(config: dict[str, Any]) -> None:
        config.setdefault("argus:kafka", {})["transport"] = transport
        config.setdefault("argus:filebeat", {})["replicas"] = {"maximum": 2}

    stack.up(stack_with(folder, edit))


def peers(broker: str, port: int) -> set[str]:
    """The addresses that are connected to a broker's port."""
    found = set()
    for line in kubectl("cp1", f"-n argus exec {broker} -c kafka -- cat /proc/net/tcp /proc/net/tcp6"):
        _, here, there, state, *_ = line.split()
        if state == ESTABLISHED and int(here.rpartition(":")[2], 16) == port:
            # The last four bytes, also of an IPv6 address that stands for an IPv4 one, the lowest first.
            found.add(str(IPv4Address(bytes.fromhex(there.partition(":")[0][-8:])[::-1])))
    return found


def still_at(port: int) -> str | None:
    found = {broker: sorted(peers(broker, port)) for broker in BROKERS}
    return f"at port {port}: {found}" if any(found.values()) else None


def not_scaling(autoscaler: str) -> str | None:
    """What keeps an autoscaler from reading what it follows."""
    path = '{.status.conditions[?(@.type=="ScalingActive")].status}'
    said = kubectl("cp1", f"-n argus get hpa {autoscaler} -o jsonpath='{path}'")
    return None if said == ["True"] else f"ScalingActive: {said}"


def transport_now() -> Transport:
    """The step at which the stack is, as the last update that came to its end has left it."""
    return cast(Transport, kept()["kafka.transport"])


def go(stack: Stack, folder: Path, wanted: Transport) -> None:
    """Take the stack to a step, with an update for each on the way."""
    while (now := transport_now()) != wanted:
        up(stack, folder, next_step(TRANSPORTS, now, wanted))


@pytest.fixture
def in_plain(stack: Stack, tmp_path: Path, timings: Timings) -> Iterator[None]:
    """The stack as versions before TLS have left it, and afterwards as it came."""
    audit = Audit.open(stack.cluster)
    began = time.monotonic()
    try:
        run_lab("keda")
        go(stack, tmp_path, "plain")
        timings.took("Kafka goes from TLS to plain, in three updates", time.monotonic() - began, audit.close())
        yield
    finally:
        go(stack, tmp_path, "tls")
        stack.up()


@pytest.mark.usefixtures("in_plain")
def test_everybody_goes_over_to_tls_and_no_frame_is_lost(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    audit = Audit.open(stack.cluster)
    began = time.monotonic()

    up(stack, tmp_path, "both")
    assert still_at(TLS_PORT) is None
    assert still_at(PORT) is not None

    up(stack, tmp_path, "prefer")
    wait_until("nobody to connect in plain", lambda: still_at(PORT), SETTLED_LIMIT_S)
    assert still_at(TLS_PORT) is not None
    wait_until("KEDA to read what waits", lambda: not_scaling("filebeat"), SETTLED_LIMIT_S)
    for broker in BROKERS:
        refused = [line for line in kubectl("cp1", f"-n argus logs {broker} -c kafka") if "Denied" in line]
        assert refused == [], f"{broker} refuses a client what it needs"

    up(stack, tmp_path, "tls")
    for pod, port in [*((each, PORT) for each in BROKERS), *((each, zookeeper.CLIENT) for each in MEMBERS)]:
        asked = f"if (: </dev/tcp/localhost/{port}) 2>/dev/null; then echo answers; else echo refused; fi"
        assert kubectl("cp1", f'-n argus exec {pod} -- bash -c "{asked}"') == ["refused"]
    took_s = time.monotonic() - began
    timings.took("Kafka goes from plain to TLS, in three updates", took_s, audit.close())
