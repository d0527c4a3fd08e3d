"""Programs' CPU time from recorded texts of /proc, with processes that come and go."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.frames import cpu
from tests.bench.frames.cpu import Host, Key, Kind, Meter, Process, Usage, parse_host, parse_stat, pod_cgroup, used

# Recorded on Linux 6.1; of the worker's name, everything is possible.
STAT = (
    "4915 (a ) b (c) S 2 0 0 0 -1 69238880 7 300 0 0 150 50 7 3 20 0 1 0 2753412 8000000 1500 18446744073709551615 "
    "0 0 0 0 0 0 0 2147483647 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
HOST = "cpu  3166341 629375 1281064 636003 41704 11 106802 86357 0 0\ncpu0 1 2 3\nintr 5\n"


def test_a_process_is_read_whatever_its_name() -> None:
    assert parse_stat(STAT) == Process(key=Key(4915, 2753412), parent=2, name="a ) b (c", own=200, children=10)


def test_the_host_s_busy_time_has_no_stolen_and_no_waiting_time() -> None:
    busy = 3166341 + 629375 + 1281064 + 11 + 106802
    assert parse_host(HOST) == Host(busy=busy, irq=11, softirq=106802, steal=86357, idle=677707)


def process(pid: int, parent: int, own: int, children: int = 0, *, started: int = 0, name: str = "sh") -> Process:
    return Process(key=Key(pid, started), parent=parent, name=name, own=own, children=children)


def look(*processes: Process) -> dict[Key, Process]:
    return {each.key: each for each in processes}


def test_a_process_s_use_is_what_it_gained_and_a_new_one_s_all() -> None:
    before = look(process(1, 0, 100))
    after = look(process(1, 0, 130), process(9, 1, 7, 2))
    assert used(before, after) == {Key(1, 0): 30, Key(9, 0): 9}


def test_an_ended_child_counts_once_at_its_parent() -> None:
    before = look(process(1, 0, 100, 50), process(9, 1, 40, 5))
    # It used 3 more before it ended, and its parent waited for it.
    after = look(process(1, 0, 101, 50 + 48))
    assert used(before, after) == {Key(1, 0): 1 + 3}


def test_a_child_that_comes_and_goes_between_two_looks_is_seen_at_its_parent() -> None:
    assert used(look(process(1, 0, 100, 50)), look(process(1, 0, 100, 58))) == {Key(1, 0): 8}


def test_of_a_whole_family_that_ended_the_nearest_ancestor_has_the_time() -> None:
    before = look(process(1, 0, 0, 10), process(8, 1, 5, 0), process(9, 8, 30, 0))
    after = look(process(1, 0, 0, 10 + 5 + 30 + 4))
    assert used(before, after) == {Key(1, 0): 4}


def test_a_parent_that_does_not_wait_loses_nothing_of_its_own() -> None:
    before = look(process(1, 0, 100, 0), process(9, 1, 40))
    assert used(before, look(process(1, 0, 102, 0))) == {Key(1, 0): 2}


def test_an_id_that_is_used_again_is_another_process() -> None:
    before = look(process(1, 0, 0), process(9, 1, 500, started=3))
    after = look(process(1, 0, 0, 500), process(9, 1, 4, started=77))
    assert used(before, after) == {Key(1, 0): 0, Key(9, 77): 4}


def usage(busy: int, softirq: int, *ticks: int) -> Usage:
    found = Usage(10, Host(busy=busy, irq=0, softirq=softirq, steal=0, idle=0))
    for number, each in enumerate(ticks):
        found.programs[Kind(str(number), "/", False, False, False)] = each
    return found


def test_what_no_program_used_is_unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "interrupts_apart", lambda: False)
    assert usage(1000, 100, 700, 250).unexplained == pytest.approx(0.05)
    monkeypatch.setattr(cpu, "interrupts_apart", lambda: True)
    assert usage(1000, 100, 600, 250).unexplained == pytest.approx(0.05)


def test_the_kernel_s_build_says_how_interrupts_are_accounted(tmp_path: Path) -> None:
    file = tmp_path / "config.gz"
    assert not cpu.interrupts_apart(file)
    file.write_bytes(gzip.compress(b"CONFIG_HZ=250\nCONFIG_IRQ_TIME_ACCOUNTING=y\n"))
    assert cpu.interrupts_apart(file)
    file.write_bytes(gzip.compress(b"# CONFIG_IRQ_TIME_ACCOUNTING is not set\n"))
    assert not cpu.interrupts_apart(file)


def test_of_a_process_s_many_groups_the_pod_s_is_taken() -> None:
    pod = "/libpod_parent/libpod-ab/kubepods/burstable/pod1/c2"
    assert pod_cgroup(f"9:name=systemd:/libpod_parent/libpod-ab/init.scope\n2:cpuacct:{pod}\n0::/\n") == pod
    assert pod_cgroup("3:cpuset:/\n2:cpuacct:/libpod_parent/libpod-ab\n") == "/libpod_parent/libpod-ab"
    assert pod_cgroup("0::/\n") == "/"
    assert pod_cgroup("") == "/"


def test_this_host_s_own_programs_are_metered() -> None:
    meter = Meter(instrument=os.getpid())
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    found = meter.look()
    mine = sum(ticks for kind, ticks in found.programs.items() if kind.instrument)
    assert mine >= 25, "the child has ended, and its time is there"
    assert found.host.busy >= 25
    assert found.seconds > 0
    memory = meter.memory()
    assert sum(size for kind, size in memory.items() if kind.instrument) > 10 * 2**20
