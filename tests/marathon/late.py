"""Packets that come late, because they are held back on their way to and from one machine."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from uuid import uuid4

from lab.config import ROOT, LabError, machine
from lab.podman import running
from lab.shell import output, run
from tests.e2e.machines import EVERYBODY
from tests.marathon import delay
from tests.marathon.fault import OVERTIME_S, Aim, Fault, Scene, UnprovenError, prove
from tests.marathon.machines import CARD, in_network, iptables
from tests.marathon.schedule import chosen

LATE_MS = (300, 800)
"""The least and the most by which a round trip grows."""
_TABLE = "security"
_HALF, _WHOLE = 7700, 7701
"""Queues, of packets that are held for half of the time, and for all of it."""
_WAYS = (
    ("FORWARD", "--in-interface", _HALF),
    ("FORWARD", "--out-interface", _HALF),
    ("INPUT", "--in-interface", _WHOLE),
)
"""What comes to the machine's pods, what they send, and what comes to the machine itself.

What it sends itself cannot be held: its kernel would let a connection have no more than a few packets on their way.

A packet that a program lets go on passes by the rest of the chain. So these rules are in a table that nobody else uses,
and hide none of the stack's, of which some hand packets to a program too (network policies).
"""
_SSH = 22
_ASKED_TIMES = 5
_ANSWER_S = 10.0
_BEGIN_S = 30.0
_END_S = 10.0


class PacketsLate(Fault):
    """All packets to and from one machine, its pods' included, come late: a round trip grows by 300 to 800 ms.

    The kernel has no netem. So rules hand the packets to programs (delay.py) that let each go on later. Where such a
    program is not there any longer, the kernel lets them go at once.
    """

    name, hold_s = "packets-late", (40, 80)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        name, (least, most) = chosen(draws[0], EVERYBODY), LATE_MS
        return {
            "machine": name,
            "late_ms": least + round(draws[1] * (most - least)),
            "before_ms": round_trip_ms(_address(name)),
            "uid": f"late-{uuid4().hex}",
        }

    def begin(self, scene: Scene, aim: Aim) -> None:
        for queue, held_ms in ((_HALF, aim["late_ms"] // 2), (_WHOLE, aim["late_ms"])):
            _hold_packets(aim, queue, held_ms)
        for rule in _rules(aim["machine"], "--append"):
            output(rule)

    def proof(self, scene: Scene, aim: Aim) -> str:
        seen: list[float] = []

        def late() -> str | None:
            seen[:] = [round_trip_ms(_address(aim["machine"]))]
            return lateness(aim, seen[0])

        prove(f"packets of {aim['machine']} late", late)
        pods, own = (packets_held(output(_table(aim["machine"], "-nvxL", chain))) for chain in ("FORWARD", "INPUT"))
        return (
            f"a round trip to {aim['machine']} took {seen[0]:.0f} ms instead of {aim['before_ms']:.0f}; held back: "
            f"{own} packets to it, {pods} to and from its pods"
        )

    def end(self, scene: Scene, aim: Aim) -> None:
        if running(machine(aim["machine"]).container):
            for check, delete in zip(*(_rules(aim["machine"], act) for act in ("--check", "--delete")), strict=True):
                while run(check, check=False).returncode == 0:
                    output(delete)
        for process in delay.processes(aim["uid"]):
            _ended(process)

    def missing(self, scene: Scene, aim: Aim) -> str | None:
        now = round_trip_ms(_address(aim["machine"]))
        return f"a round trip to {aim['machine']} still takes {now:.0f} ms" if lateness(aim, now) is None else None


def lateness(aim: Aim, now_ms: float) -> str | None:
    """None if a round trip takes longer by nearly all that it should, else by how much it does."""
    grown = now_ms - aim["before_ms"]
    return None if grown >= 0.9 * aim["late_ms"] else f"it takes {grown:.0f} ms longer, not {aim['late_ms']}"


def round_trip_ms(address: str, port: int = _SSH) -> float:
    """The shortest time of some connections in milliseconds: what a packet there and one back take.

    Raises UnprovenError if one is refused or not there in time.
    """
    taken = []
    for _ in range(_ASKED_TIMES):
        began = time.monotonic()
        try:
            with socket.create_connection((address, port), timeout=_ANSWER_S):
                taken.append(time.monotonic() - began)
        except OSError as error:
            raise UnprovenError(f"no connection to {address}:{port}: {error}") from None
    return round(1000 * min(taken), 1)


def packets_held(listed: str) -> int:
    """The packets that the chain's rules gave away, from what `iptables -nvxL` prints. Raises UnprovenError."""
    counts = re.findall(rf"^\s*(\d+)\s+\d+\s+NFQUEUE\s.*NFQUEUE num (?:{_HALF}|{_WHOLE})\b", listed, re.MULTILINE)
    if not counts:
        raise UnprovenError(f"there is no rule that holds packets back:\n{listed}")
    return sum(map(int, counts))


def _address(name: str) -> str:
    return str(machine(name).address)


def _hold_packets(aim: Aim, queue: int, held_ms: int) -> None:
    """Start a program that holds a queue's packets back, also after this one has ended. Raises LabError if it fails."""
    most_s = PacketsLate.hold_s[1] + OVERTIME_S
    told = (str(queue), str(held_ms), str(most_s), aim["uid"])
    process = subprocess.Popen(
        [*in_network(aim["machine"]), sys.executable, "-m", delay.__name__, *told],
        cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as said:
        if not select.select([said], [], [], _BEGIN_S)[0]:
            raise LabError(f"packets are not held back after {_BEGIN_S:g} s")
        if (first := said.readline().strip()) != delay.READY:
            raise LabError(f"packets cannot be held back: {first} {said.read()[-500:]}")


def _rules(name: str, action: str) -> Iterator[list[str]]:
    """The command for each way's rule."""
    for chain, way, queue in _WAYS:
        to_queue = ("--jump", "NFQUEUE", "--queue-num", str(queue), "--queue-bypass")
        yield _table(name, action, chain, way, CARD, *to_queue)


def _table(name: str, *arguments: str) -> list[str]:
    return iptables(name, _TABLE, *arguments)


def _ended(process: int) -> None:
    """End it, so that it lets go what it holds; the kernel would drop it."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + _END_S
        while time.monotonic() < deadline:
            # Waited for only where it is a child of this process.
            with suppress(ChildProcessError):
                os.waitpid(process, os.WNOHANG)
            os.kill(process, 0)
            time.sleep(0.05)
        os.kill(process, signal.SIGKILL)
