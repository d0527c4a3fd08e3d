"""Holds packets back: `python -m tests.marathon.delay QUEUE HELD_MS SECONDS NAME`, in the network of who shall be late.

It takes what the kernel's rules hand to the queue of this number (NFQUEUE), and lets each packet go on after HELD_MS
milliseconds, in the order in which they came. It says READY when it takes them, and ends after SECONDS or at SIGTERM;
then it lets go at once what it holds. NAME is not used: by it the process is found.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

READY = "ready"

_NETLINK_NETFILTER = 12
_SOL_NETLINK, _NO_ENOBUFS = 270, 5
_SO_RCVBUFFORCE = 33
_BUFFER = 2**24
"""Bytes of the kernel's messages about packets that were not read yet."""
_READ = 2**16
_MOST_HELD = 2**16
"""So many packets are held at once; what comes beyond goes on at once (fail open)."""

# linux/netfilter/nfnetlink_queue.h
_QUEUE = 3 << 8
_PACKET, _CONFIG, _VERDICT_BATCH = _QUEUE | 0, _QUEUE | 2, _QUEUE | 3
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _CFG_MASK, _CFG_FLAGS = range(1, 6)
_BIND = 1
_ONLY_ABOUT = 1
"""The kernel says that there is a packet, and keeps its bytes."""
_FAIL_OPEN, _WHOLE = 1, 4
"""Flags. Whole: what the network card would cut into packets stays one."""
_HEADER, _VERDICT = 1, 2
_ACCEPT = 1
_REQUEST, _ACK, _ERROR = 1, 4, 2


def attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute, padded to four bytes."""
    return struct.pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) % 4)


def message(kind: int, queue: int, *attributes: bytes, flags: int = _REQUEST) -> bytes:
    """A message about a queue."""
    body = struct.pack(">BBH", socket.AF_UNSPEC, 0, queue) + b"".join(attributes)
    return struct.pack("=IHHII", len(body) + 16, kind, flags, 0, 0) + body


def packets(data: bytes) -> Iterator[int]:
    """The numbers of the packets of which the kernel's messages tell. Raises OSError for an error that it reports."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if kind == _ERROR:
            (error,) = struct.unpack_from("=i", data, 16)
            if error:
                raise OSError(-error, os.strerror(-error))
        if kind == _PACKET:
            yield _number(data[20:length])
        data = data[-(-length // 4) * 4 :]


def _number(attributes: bytes) -> int:
    while attributes:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind & 0x3FFF == _HEADER:
            (number,) = struct.unpack_from(">I", attributes, 4)
            return int(number)
        attributes = attributes[-(-length // 4) * 4 :]
    raise ValueError("the kernel tells of a packet without its number")


class Queue:
    """The kernel's queue of this number, whose packets this process alone lets go on."""

    def __init__(self, number: int) -> None:
        """Raises OSError if the kernel has no NFQUEUE, or another process has this queue."""
        self._number = number
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)
        self._configure(attribute(_CFG_CMD, struct.pack(">BBH", _BIND, 0, 0)))
        flags = struct.pack(">I", _FAIL_OPEN | _WHOLE)
        self._configure(
            attribute(_CFG_PARAMS, struct.pack(">IB", 0, _ONLY_ABOUT)),
            attribute(_CFG_MAXLEN, struct.pack(">I", _MOST_HELD)),
            attribute(_CFG_FLAGS, flags),
            attribute(_CFG_MASK, flags),
        )

    def _configure(self, *attributes: bytes) -> None:
        self._socket.send(message(_CONFIG, self._number, *attributes, flags=_REQUEST | _ACK))
        list(packets(self._socket.recv(_READ)))

    def came(self, wait_s: float) -> list[int]:
        """The packets that came, in their order; empty after this long without one."""
        self._socket.settimeout(max(wait_s, 0.0001))
        # Not found: packets of a network card that went down, which the kernel let go itself.
        with contextlib.suppress(TimeoutError, FileNotFoundError):
            return list(packets(self._socket.recv(_READ)))
        return []

    def let_go(self, last: int) -> None:
        """Let all packets go on up to this one."""
        verdict = attribute(_VERDICT, struct.pack(">II", _ACCEPT, last))
        self._socket.send(message(_VERDICT_BATCH, self._number, verdict))


def hold(queue: Queue, held_s: float, until: float) -> int:
    """Hold each packet back for `held_s` until the monotonic clock says `until`. Returns how many were held."""
    held: deque[tuple[float, int]] = deque()
    count, newest = 0, None
    try:
        while (now := time.monotonic()) < until:
            next_s = held[0][0] - now if held else until - now
            came = queue.came(min(next_s, 1.0)) if next_s > 0 else []
            now = time.monotonic()
            held.extend((now + held_s, number) for number in came)
            if came:
                count, newest = count + len(came), came[-1]
            due = None
            while held and held[0][0] <= now:
                due = held.popleft()[1]
            if due is not None:
                queue.let_go(due)
    finally:
        if newest is not None:
            queue.let_go(newest)
    return count


def main(queue: int, held_ms: int, seconds: float) -> None:
    """Hold packets back, after having said that it does."""
    # As an exception, so that what is held is let go.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    taken = Queue(queue)
    print(READY, flush=True)
    hold(taken, held_ms / 1000, time.monotonic() + seconds)


def processes(name: str, proc: Path = Path("/proc")) -> list[int]:
    """The processes of this program that were given this name."""
    found = []
    for path in proc.iterdir():
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0") if path.name.isdigit() else []
            if name.encode() in words and __name__.encode() in words:
                found.append(int(path.name))
    return sorted(found)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
