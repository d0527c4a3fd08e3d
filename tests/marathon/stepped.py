"""Sets a running process's clock: all that it learns of the time of day from then on is ahead, or behind.

Wall time is not namespaced, and libfaketime must be there from a process's start, and leaves its waits as they are: a
process that waits half a second until a moment of its own clock, as librdkafka does, then waits for an hour, or not at
all. So the functions by which a process reads the clock (the kernel's vDSO, in a copy of the process's own) and those
that wait until a time of day are led through a few instructions that add the step, or take it off. The clock is set
while the process works, as a clock is: a wait that has begun ends when it would have ended. Intervals (the monotonic
clock) are as before. What the process starts as another program has the right time; what it forks has the wrong one.

x86-64 alone. The process is stopped for some milliseconds meanwhile (SIGSTOP).
"""

import os
import platform
import signal
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.config import LabError
from tests.marathon.images import Image, Memory, memory_of

_CLOCKS = ("clock_gettime", "gettimeofday", "time")
_WAITS = {
    "pthread_cond_timedwait": "rdx",
    "cnd_timedwait": "rdx",
    "mtx_timedlock": "rsi",
    "sem_timedwait": "rsi",
    "sem_clockwait": "rdx",
    "pthread_cond_clockwait": "rcx",
    "pthread_mutex_timedlock": "rsi",
    "pthread_mutex_clocklock": "rdx",
}
"""The register that has the moment until which a function waits."""
_SINCE_BOOT = 10**9
"""A moment before is none of the time of day (2001), but of the monotonic clock."""
_JUMP = 5
"""Bytes of the instruction that leads away."""
_STOP_S = 5.0
_TRIES = 20


def step(process: int, seconds: int) -> str:
    """Set the process's clock ahead by so many seconds, or behind; 0 is the right time, also where it was right.

    Returns what was led away. Raises LabError that says why it cannot be done, ProcessLookupError if it has ended.
    """
    if platform.machine() != "x86_64":
        raise LabError(f"a process's clock can be set on x86-64 alone, not on {platform.machine()}")
    with memory_of(process) as memory:
        found = _Clock.of(memory)
        if not seconds and found.untouched(memory):
            return "right, as it was"
        with _stopped(process, found.entries):
            found.set(memory, seconds)
    return found.shown(seconds)


@dataclass(frozen=True)
class _Clock:
    """Where a process reads the clock, and where it waits for it."""

    kernels: Image
    cave: int
    """The address of room for instructions, at the end of the vDSO's last page."""
    room: int
    clocks: Mapping[str, int]
    waits: Mapping[str, int]
    calls: Sequence[tuple[str, int]]

    @classmethod
    def of(cls, memory: Memory) -> "_Clock":
        images = memory.images()
        kernels = _one(images, "[vdso]")
        right = _right_time()
        # A program without glibc, as one of Go, waits by the monotonic clock.
        waits = next((each.symbols(_WAITS) for each in images if each.name == "libc.so.6"), {})
        calls = [(name, place) for image in images for name, place in _calls(memory, image, kernels, waits)]
        begin = -(-len(right.rstrip(b"\0")) // 16) * 16
        return cls(kernels, kernels.begin + begin, kernels.size - begin, kernels.symbols(_CLOCKS), waits, sorted(calls))

    @property
    def entries(self) -> list[int]:
        return sorted(self.clocks.values())

    def untouched(self, memory: Memory) -> bool:
        """Whether it was never set."""
        return not any(memory.read(self.cave, self.room))

    def set(self, memory: Memory, seconds: int) -> None:
        """Lead the clocks and waits through the instructions, or back to where they were. The instructions stay: a
        wait that has begun returns through them."""
        code = _code(self.cave, seconds, self.waits)
        if len(code.data) > self.room:
            raise LabError(f"the kernel's vDSO has room for {self.room} of {len(code.data)} bytes")
        memory.write(self.cave, code.data)
        right = _right_time()
        for name, entry in self.clocks.items():
            at = entry - self.kernels.begin
            away = b"\xe9" + struct.pack("<i", code.begins[name] - entry - _JUMP)
            memory.write(entry, away if seconds else right[at : at + _JUMP])
        for name, place in self.calls:
            memory.write(place, struct.pack("<Q", code.begins[name] if seconds else self.waits[name]))

    def shown(self, seconds: int) -> str:
        led = ", ".join(sorted({name for name, _ in self.calls}))
        return f"{seconds:+d} s ({', '.join(self.clocks)}; waits: {led or 'none'})"


@dataclass(frozen=True)
class _Code:
    """Instructions for one address, and where the one for each function begins."""

    data: bytes
    begins: Mapping[str, int]


def _code(begin: int, seconds: int, waits: Mapping[str, int]) -> _Code:
    """First the step in seconds and the waits' own addresses, as data; then the instructions."""
    data = struct.pack("<q", seconds) + b"".join(struct.pack("<Q", address) for address in waits.values())
    begins: dict[str, int] = {}

    def add(name: str, *parts: bytes | int) -> None:
        """Bytes, and the offset in the data that the four bytes after them name, counted from behind them."""
        nonlocal data
        data += b"\x90" * (-len(data) % 16)
        begins[name] = begin + len(data)
        for part in parts:
            data += part if isinstance(part, bytes) else struct.pack("<i", part - len(data) - 4)

    add(
        "clock_gettime",
        _system_call(228),
        b"\x75\x09",  # jnz: it failed
        b"\x85\xff\x74\x06",  # CLOCK_REALTIME
        b"\x83\xff\x05\x74\x01",  # CLOCK_REALTIME_COARSE
        b"\xc3",
        b"\x48\x8b\x0d", 0,  # rcx = the step
        b"\x48\x01\x0e\xc3",  # the seconds at rsi
    )  # fmt: skip
    add(
        "gettimeofday",
        _system_call(96),
        b"\x75\x0f",
        b"\x48\x85\xff\x74\x0a",  # nobody wants them
        b"\x48\x8b\x0d", 0,
        b"\x48\x01\x0f\xc3",  # the seconds at rdi
    )  # fmt: skip
    add(
        "time",
        _system_call(201),
        b"\x48\x03\x05", 0,  # rax += the step
        b"\x48\x85\xff\x74\x03\x48\x89\x07",  # and at rdi, where that is wanted
        b"\xc3",
    )  # fmt: skip
    for number, name in enumerate(waits, 1):
        add(name, *_wait(_WAITS[name], 8 * number))
    return _Code(data, begins)


def _system_call(number: int) -> bytes:
    """mov eax, number; syscall; test eax, eax"""
    return b"\xb8" + struct.pack("<I", number) + b"\x0f\x05\x85\xc0"


def _wait(register: str, own: int) -> list[bytes | int]:
    """Call the function itself with the moment of the right clock, of which a copy is on the stack."""
    tested, seconds, parts, copy = {
        "rsi": (b"\xf6", b"\x06", b"\x46", b"\xe6"),
        "rdx": (b"\xd2", b"\x02", b"\x42", b"\xe2"),
        "rcx": (b"\xc9", b"\x01", b"\x41", b"\xe1"),
    }[register]
    return [
        b"\x48\x83\xec\x18",  # sub rsp, 24
        b"\x48\x85" + tested + b"\x74\x22",  # no moment
        b"\x48\x8b" + seconds,  # rax = its seconds
        b"\x48\x3d" + struct.pack("<i", _SINCE_BOOT) + b"\x7c\x17",  # of another clock
        b"\x48\x2b\x05", 0,  # rax -= the step
        b"\x48\x89\x04\x24",
        b"\x48\x8b" + parts + b"\x08",  # and its nanoseconds
        b"\x48\x89\x44\x24\x08",
        b"\x48\x89" + copy,  # the register names the copy
        b"\xff\x15", own,  # call
        b"\x48\x83\xc4\x18\xc3",
    ]  # fmt: skip


def _calls(memory: Memory, image: Image, kernels: Image, waits: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Where an image keeps the waits' addresses: the function's own, that of the instructions, or of a first call."""
    for name, place in image.calls(waits):
        with suppress(OSError):
            (now,) = struct.unpack("<Q", memory.read(place, 8))
            if now == waits[name] or kernels.begin <= now < kernels.begin + kernels.size or image.has(now):
                yield name, place


def _right_time() -> bytes:
    """The kernel's vDSO, as every process gets it."""
    with memory_of(os.getpid()) as memory:
        kernels = _one(memory.images(), "[vdso]")
        return memory.read(kernels.begin, kernels.size)


def _one(images: Sequence[Image], name: str) -> Image:
    for image in images:
        if image.name == name:
            return image
    raise LabError(f"the process has no {name}")


@contextmanager
def _stopped(process: int, entries: Sequence[int]) -> Iterator[None]:
    """Stop the process where none of its threads is within the first instructions of an entry."""
    try:
        for _ in range(_TRIES):
            os.kill(process, signal.SIGSTOP)
            _wait_until_stopped(process)
            if not any(entry < at < entry + _JUMP for entry in entries for at in _places(process)):
                yield
                return
            os.kill(process, signal.SIGCONT)
            time.sleep(0.01)
        raise LabError(f"process {process} was found at its clock {_TRIES} times")
    finally:
        os.kill(process, signal.SIGCONT)


def _wait_until_stopped(process: int) -> None:
    deadline = time.monotonic() + _STOP_S
    while any(said.rpartition(")")[2].split()[0] not in "Tt" for said in _of_threads(process, "stat")):
        if time.monotonic() > deadline:
            raise LabError(f"process {process} did not stop within {_STOP_S:g} s")
        time.sleep(0.001)


def _places(process: int) -> Iterator[int]:
    """Where each thread goes on."""
    for words in map(str.split, _of_threads(process, "syscall")):
        if len(words) > 1:
            yield int(words[-1], 16)


def _of_threads(process: int, file: str) -> Iterator[str]:
    """What the kernel says of each thread, but of those that have ended meanwhile."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            yield (thread / file).read_text()
