"""The CPU time of every program of the host, from /proc: also of processes that end between two looks.

A process's own time and its ended children's are both in its stat. So of a process that ended, the time since the last
look is what its parent's children gained, less what had been counted of it before.
"""

import gzip
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.e2e.waiting import repeatedly

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
PERIOD_S = 5.0
"""Seconds between two looks, each of which costs some 10 ms of CPU."""


class Key(NamedTuple):
    """A process: its ID, and when it started (ticks since boot), because IDs are used again."""

    pid: int
    started: int


@dataclass(frozen=True)
class Process:
    """One process at one moment. Times are in ticks, user and system together, `children` those that have ended."""

    key: Key
    parent: int
    name: str
    own: int
    children: int


class Kind(NamedTuple):
    """What tells one program from another: the kernel's name of it, its control group, and whose it is."""

    name: str
    cgroup: str
    contained: bool
    """In a container: it has not the host's process IDs."""
    kernel: bool
    instrument: bool


@dataclass(frozen=True)
class Host:
    """The first line of /proc/stat, in ticks over all cores."""

    busy: int
    irq: int
    softirq: int
    steal: int
    idle: int

    def since(self, before: "Host") -> "Host":
        """The difference."""
        return Host(*(getattr(self, name) - getattr(before, name) for name in self.__dataclass_fields__))


@dataclass
class Usage:
    """CPU time over some seconds: of each kind of program, and of the whole host, in ticks."""

    seconds: float
    host: Host
    programs: Counter[Kind] = field(default_factory=Counter)

    @property
    def unexplained(self) -> float:
        """The share of the busy time that belongs to no program; negative if programs have more than all."""
        if not self.host.busy:
            return 0.0
        # Where the kernel does not account interrupts apart, their time is in that of the interrupted programs.
        apart = self.host.irq + self.host.softirq if interrupts_apart() else 0
        return (self.host.busy - self.programs.total() - apart) / self.host.busy


def parse_stat(text: str) -> Process:
    """A process from its /proc/PID/stat."""
    # The name, in parentheses, may contain spaces and parentheses.
    head, _, rest = text.rpartition(")")
    pid, _, name = head.partition(" (")
    fields = rest.split()
    return Process(
        key=Key(int(pid), int(fields[19])),
        parent=int(fields[1]),
        name=name,
        own=int(fields[11]) + int(fields[12]),
        children=int(fields[13]) + int(fields[14]),
    )


def parse_host(text: str) -> Host:
    """The host's times from /proc/stat."""
    user, nice, system, idle, wait, irq, softirq, steal, *_ = map(int, text.splitlines()[0].split()[1:])
    return Host(busy=user + nice + system + irq + softirq, irq=irq, softirq=softirq, steal=steal, idle=idle + wait)


def processes(proc: Path = PROC) -> dict[Key, Process]:
    """Every process of the host, also those in containers."""
    found = {}
    for each in proc.iterdir():
        if each.name.isdigit() and (text := _read(each / "stat")):
            process = parse_stat(text)
            found[process.key] = process
    return found


def used(before: Mapping[Key, Process], after: Mapping[Key, Process]) -> dict[Key, int]:
    """The ticks that each process of `after` used between two looks, with those of its ended children."""
    found = {}
    ended: Counter[Key] = Counter()
    ids = {key.pid: key for key in before}
    for key, process in before.items():
        if key not in after and (heir := _heir(process, before, after, ids)):
            ended[heir] += process.own + process.children
    for key, process in after.items():
        was = before.get(key)
        own, children = (
            (process.own - was.own, process.children - was.children) if was else (process.own, process.children)
        )
        # A parent that does not wait for its children does not get their time.
        found[key] = own + max(0, children - ended[key])
    return found


def _heir(
    process: Process, before: Mapping[Key, Process], after: Mapping[Key, Process], ids: Mapping[int, Key]
) -> Key | None:
    """The nearest ancestor that still runs: an ended process's time is in its children's."""
    while (key := ids.get(process.parent)) is not None:
        if key in after:
            return key
        process = before[key]
    return None


class Meter:
    """Looks at all processes now and then, and adds up what each kind of program used."""

    def __init__(self, proc: Path = PROC, instrument: int | None = None) -> None:
        self._proc = proc
        self._instrument = os.getpid() if instrument is None else instrument
        self._namespace = _namespace(proc / "self")
        self._kinds: dict[tuple[Key, str], Kind] = {}
        self._began, self._host = time.monotonic(), self._look_at_host()
        self._last = processes(proc)
        self._programs: Counter[Kind] = Counter()

    def look(self) -> Usage:
        """The usage since the meter was made."""
        now = processes(self._proc)
        parents = {key.pid: process.parent for key, process in now.items()}
        for key, ticks in used(self._last, now).items():
            if ticks:
                self._programs[self._kind(now[key], parents)] += ticks
        self._last = now
        host = self._look_at_host().since(self._host)
        return Usage(time.monotonic() - self._began, host, Counter(self._programs))

    def memory(self) -> Counter[Kind]:
        """The bytes of memory of each kind of program; what several processes share counts in parts."""
        now = processes(self._proc)
        parents = {key.pid: process.parent for key, process in now.items()}
        found: Counter[Kind] = Counter()
        for key, process in now.items():
            if size := _memory(self._proc / str(key.pid)):
                found[self._kind(process, parents)] += size
        return found

    def _look_at_host(self) -> Host:
        return parse_host((self._proc / "stat").read_text())

    def _kind(self, process: Process, parents: Mapping[int, int]) -> Kind:
        # A process that starts another program keeps its ID, but not its name.
        key = process.key, process.name
        if key not in self._kinds:
            line = set(_ancestors(process.key.pid, parents))
            self._kinds[key] = Kind(
                name=process.name,
                cgroup=pod_cgroup(_read(self._proc / str(process.key.pid) / "cgroup")),
                contained=_namespace(self._proc / str(process.key.pid)) not in {"", self._namespace},
                kernel=2 in line,
                instrument=self._instrument in line,
            )
        return self._kinds[key]


@contextmanager
def metered(meter: Meter, period_s: float = PERIOD_S) -> Iterator[None]:
    """Look every few seconds in a thread of its own, so that few processes come and go unseen."""
    with repeatedly("meter", meter.look, period_s):
        yield


def pod_cgroup(text: str) -> str:
    """The path of a process's control group. Of version 1's many, one that names the pod or the container."""
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2]
    return max(paths, key=lambda path: ("kubepods" in path, "libpod" in path, len(path)), default="/")


def interrupts_apart(config: Path = PROC / "config.gz") -> bool:
    """Whether the kernel takes the time of interrupts out of that of the programs that they interrupt."""
    try:
        return b"CONFIG_IRQ_TIME_ACCOUNTING=y" in gzip.decompress(config.read_bytes())
    except OSError:
        return False


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def _namespace(process: Path) -> str:
    """A process's namespace of process IDs; empty if it has ended."""
    try:
        return str((process / "ns" / "pid").readlink())
    except OSError:
        return ""


def _memory(process: Path) -> int:
    """A process's proportional memory in bytes, or its resident memory where the kernel does not say the former."""
    for line in _read(process / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    resident = _read(process / "statm").split()
    return int(resident[1]) * os.sysconf("SC_PAGE_SIZE") if resident else 0


def _read(file: Path) -> str:
    """The text of a file of /proc; empty if its process has ended."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
