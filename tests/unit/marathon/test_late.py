"""The kernel's messages about packets, when each is let go, and what proves that packets were late."""

import struct
from collections.abc import Sequence

import pytest

from tests.marathon import delay
from tests.marathon.delay import attribute, hold, message, packets
from tests.marathon.fault import UnprovenError
from tests.marathon.late import lateness, packets_held

PACKET = 3 << 8


def told(number: int) -> bytes:
    """The kernel's message about a packet: a timestamp or so first, then its header."""
    return message(PACKET, 7, attribute(9, b"\0" * 13), attribute(1, struct.pack(">IHB", number, 0x0800, 0)))


def test_the_kernels_messages_give_the_packets_numbers_in_their_order() -> None:
    assert list(packets(told(4) + told(5) + told(2**31))) == [4, 5, 2**31]
    assert list(packets(b"")) == []


def test_an_error_that_the_kernel_reports_is_raised_and_its_consent_is_not() -> None:
    def answer(error: int) -> bytes:
        return struct.pack("=IHHIIi", 20, 2, 0, 0, 0, error)

    assert list(packets(answer(0))) == []
    with pytest.raises(PermissionError):
        list(packets(answer(-1)))


class FakeQueue:
    """Packets that come at these times, by a clock that goes on while they are waited for."""

    def __init__(self, come: Sequence[float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self._come, self._told = 0.0, list(come), 0
        self.gone: list[tuple[float, int]] = []
        monkeypatch.setattr(delay, "time", self)

    def monotonic(self) -> float:
        return self.now

    def came(self, wait_s: float) -> list[int]:
        until = self.now + wait_s
        self.now = min(until, max(self.now, self._come[self._told])) if self._told < len(self._come) else until
        first = self._told
        while self._told < len(self._come) and self._come[self._told] <= self.now:
            self._told += 1
        return list(range(first, self._told))

    def let_go(self, last: int) -> None:
        begun = len(self.gone)
        self.gone += [(self.now, number) for number in range(begun, last + 1)]


def test_each_packet_is_held_as_long_as_told_and_they_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeQueue([1.0, 1.1, 1.1, 5.0], monkeypatch)
    assert hold(queue, 0.4, 9.0) == 4  # type: ignore[arg-type]
    assert [number for _, number in queue.gone] == [0, 1, 2, 3]
    assert [at for at, _ in queue.gone] == pytest.approx([1.4, 1.5, 1.5, 5.4])


def test_what_is_held_at_the_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FakeQueue([1.0, 2.0], monkeypatch)
    hold(queue, 10.0, 3.0)  # type: ignore[arg-type]
    assert queue.gone == [(3.0, 0), (3.0, 1)]


LISTED = """\
Chain FORWARD (policy ACCEPT 1 packets, 2 bytes)
    pkts      bytes target     prot opt in     out     source               destination
      30     9000 NFQUEUE    0    --  eth0   *       0.0.0.0/0            0.0.0.0/0            NFQUEUE num 7700 bypass
      12     1000 NFQUEUE    0    --  *      eth0    0.0.0.0/0            0.0.0.0/0            NFQUEUE num 7700 bypass
       9      900 NFQUEUE    0    --  *      *       0.0.0.0/0            0.0.0.0/0            NFQUEUE num 100
"""


def test_packets_of_these_queues_alone_are_counted() -> None:
    assert packets_held(LISTED) == 42
    with pytest.raises(UnprovenError, match="no rule"):
        packets_held("Chain FORWARD (policy ACCEPT 1 packets, 2 bytes)\n")


def test_a_round_trip_must_have_grown_by_what_it_should() -> None:
    aim = {"before_ms": 2.0, "late_ms": 500}
    assert lateness(aim, 502.0) is None
    assert lateness(aim, 460.0) is None
    assert "longer, not 500" in (lateness(aim, 200.0) or "")
