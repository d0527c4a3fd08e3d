"""Packets to and from a network of its own come late, none is lost, and nothing of it is left behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.marathon import delay, late, machines
from tests.marathon.fault import Aim, Scene, UnprovenError, prove
from tests.marathon.late import PacketsLate, round_trip_ms

pytestmark = pytest.mark.full

HERE, THERE, CABLE = "198.51.100.1", "198.51.100.2", "argus-late"
GATEWAY, POD = "198.51.100.5", "198.51.100.6"
LATE_MS = 500

ECHO = """
import socket, threading
tcp, udp = socket.create_server(("", 22)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 22))
def answer(client):
    while data := client.recv(65536):
        client.sendall(data)
    client.close()
def datagrams():
    while True:
        udp.sendto(*udp.recvfrom(2000))
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    threading.Thread(target=answer, args=(tcp.accept()[0],), daemon=True).start()
"""


def ip(command: str, process: int | None = None) -> None:
    """Run ip, here or in the network of a process."""
    there = (f"--net=/proc/{process}/ns/net",) if process else ()
    subprocess.run(["nsenter", *there, "ip", *command.split()], check=True, timeout=30)


@contextlib.contextmanager
def network(up: str = "") -> Iterator[int]:
    """A network of its own, in which a process answers, after a command. Yields the process."""
    command = ["unshare", "--net", "sh", "-c", f'{up} exec "$@"', "sh", sys.executable, "-c", ECHO]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        ip("link set lo up", process.pid)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def cable(outside: int | None, name: str, address: str, inside: int, other: str) -> None:
    """Connect two networks. The cable goes with any of them."""
    ip(f"link add {name} type veth peer name eth0 netns {inside}", outside)
    for process, card, own in ((outside, name, address), (inside, "eth0", other)):
        ip(f"address add {own}/30 dev {card}", process)
        ip(f"link set {card} up", process)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A machine's network with a pod's behind it. Yields a process of the machine."""
    with network("echo 1 >/proc/sys/net/ipv4/ip_forward;") as made, network() as pod:
        cable(None, CABLE, HERE, made, THERE)
        cable(made, "pod", GATEWAY, pod, POD)
        ip(f"route add default via {GATEWAY}", pod)
        ip(f"route add {POD} via {THERE}")
        monkeypatch.setattr(machines, "process_of_machine", lambda _: made)
        monkeypatch.setattr(late, "machine", lambda _: SimpleNamespace(address=THERE, container="container"))
        monkeypatch.setattr(late, "running", lambda _: True)
        yield made
        # The kernel takes it away with the network, but some time after the process has ended.
        ip(f"link delete {CABLE}")


@pytest.fixture
def aim(machine: int) -> Iterator[Aim]:
    """What is late, as it is known to whoever undoes it."""
    found: Aim = PacketsLate().aim(SCENE, (0.0, 0.0, 0.0, 0.0))
    found = json.loads(json.dumps(found | {"late_ms": LATE_MS}))
    yield found
    for process in delay.processes(found["uid"]):
        os.kill(process, signal.SIGKILL)


SCENE = Scene(None)  # type: ignore[arg-type]


def rules(process: int) -> list[str]:
    """All rules there that hand packets to a program."""
    command = ["nsenter", f"--net=/proc/{process}/ns/net", "iptables", "-S", "-t"]
    found = [subprocess.run([*command, table], check=True, capture_output=True, text=True).stdout for table in TABLES]
    return [line for line in "".join(found).splitlines() if "NFQUEUE" in line]


TABLES = ("raw", "mangle", "security", "filter", "nat")


def datagrams(address: str, count: int) -> tuple[list[int], float]:
    """Send numbered packets; returns the numbers in the order of the answers, and the first one's milliseconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, 22))
        client.settimeout(3)
        began = time.monotonic()
        for number in range(count):
            client.send(str(number).encode())
        answers = [int(client.recv(2000))]
        first_ms = 1000 * (time.monotonic() - began)
        with contextlib.suppress(TimeoutError):
            while len(answers) < count:
                answers.append(int(client.recv(2000)))
        return answers, first_ms


def echoed(address: str, data: bytes) -> bytes:
    """What comes back over one connection."""
    with socket.create_connection((address, 22), timeout=30) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        parts = []
        while part := client.recv(65536):
            parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize("address", [THERE, POD])
def test_every_packet_comes_late_and_in_its_order_and_afterwards_all_is_as_before(
    machine: int, aim: Aim, address: str
) -> None:
    fault = PacketsLate()
    before = round_trip_ms(address)
    assert before < 100
    fault.begin(SCENE, aim)
    try:
        proof = fault.proof(SCENE, aim)
        assert LATE_MS - 10 <= round_trip_ms(address) < LATE_MS + 200
        answers, first_ms = datagrams(address, 100)
        assert answers == list(range(100))
        assert first_ms >= LATE_MS - 10
        data = os.urandom(1_000_000)
        began = time.monotonic()
        assert echoed(address, data) == data
        # Late, and not slow: some round trips until the sender trusts the way.
        assert 1 < time.monotonic() - began < 15
        assert "held back: " in proof
        assert "still takes" in (fault.missing(SCENE, aim) or "")
    finally:
        for _ in range(2):
            fault.end(SCENE, aim)
    assert fault.missing(SCENE, aim) is None
    assert round_trip_ms(address) < 100
    assert rules(machine) == []
    assert delay.processes(aim["uid"]) == []


def test_what_is_held_at_the_end_is_not_lost(machine: int, aim: Aim) -> None:
    fault = PacketsLate()
    fault.begin(SCENE, aim)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((THERE, 22))
        client.settimeout(5)
        client.send(b"held")
        fault.end(SCENE, aim)
        assert client.recv(2000) == b"held"


def test_without_its_program_nothing_is_late_and_nothing_proven(
    machine: int, aim: Aim, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = PacketsLate()
    fault.begin(SCENE, aim)
    for program in delay.processes(aim["uid"]):
        os.kill(program, signal.SIGKILL)
    monkeypatch.setattr(late, "prove", partial(prove, limit_s=1))
    with pytest.raises(UnprovenError, match="longer, not"):
        fault.proof(SCENE, aim)
    assert rules(machine) != []
    fault.end(SCENE, aim)
    assert rules(machine) == []


def test_two_cannot_hold_the_same_packets(machine: int, aim: Aim) -> None:
    fault = PacketsLate()
    fault.begin(SCENE, aim)
    with pytest.raises(Exception, match="cannot be held back"):
        fault.begin(SCENE, aim | {"uid": "late-another"})
    fault.end(SCENE, aim)


def test_what_was_not_begun_can_be_undone(machine: int, aim: Aim) -> None:
    PacketsLate().end(SCENE, aim)
    assert round_trip_ms(THERE) < 100


def test_the_program_ends_by_itself(machine: int, tmp_path: Path) -> None:
    told = ("7702", "10", "1", "late-short")
    command = ["nsenter", f"--net=/proc/{machine}/ns/net", sys.executable, "-m", delay.__name__, *told]
    done: Any = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"{delay.READY}\n"
