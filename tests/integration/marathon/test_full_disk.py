"""A volume that is made full for one process's namespace refuses writes, can be read, and is as before afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config import ROOT
from tests.marathon import full_disk

OVER, NOW = "2026-11-29T13", "2026-11-29T14"

CONSUMER = """
import sys
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from apps.consumer.records import StoredFile
from apps.consumer.storage import DiskStore, is_full

store = DiskStore(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    what, _, path = line.strip().partition(" ")
    try:
        if what == "write":
            store.write(StoredFile(kind="frame", path=PurePosixPath(path), captured_at=datetime.now(UTC), data=b"x"))
        if what == "flush":
            store.flush()
        answer = sorted({each.hour for each in store.hours()}) if what == "hours" else "done"
    except OSError as error:
        answer = "full" if is_full(error) else repr(error)
    print(answer, flush=True)
"""
"""A consumer's disk, told what to do line by line."""


class Consumer:
    """It runs in a mount namespace of its own, as in a container."""

    def __init__(self, volume: Path, small: Path) -> None:
        self._volume, self._small = volume, small
        command = ("unshare", "--mount", "--propagation", "private", sys.executable, "-c", CONSUMER, str(volume))
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._answer() == "ready"

    def do(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._answer()

    def disk(self, what: str) -> subprocess.CompletedProcess[str]:
        paths = (str(self._volume), str(self._small))
        command = [sys.executable, "-m", full_disk.__name__, str(self._process.pid), what, *paths]
        return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)

    def mounts(self) -> str:
        return Path(f"/proc/{self._process.pid}/mounts").read_text()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def consumer(tmp_path: Path) -> Iterator[Consumer]:
    for folder in ("data/gate/" + OVER, "data/gate/" + NOW, "small"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "data/gate" / OVER / "1.jpg").write_bytes(b"old")
    consumer = Consumer(tmp_path / "data", tmp_path / "small")
    yield consumer
    consumer.end()


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in (root / "data").rglob("*") if path.is_file()}


def test_a_full_volume_refuses_what_is_written_and_is_as_before_afterwards(consumer: Consumer, tmp_path: Path) -> None:
    assert consumer.do(f"write gate/{NOW}/2.jpg") == "done"
    assert consumer.do("flush") == "done"
    assert consumer.do(f"write gate/{NOW}/3.jpg") == "done"

    filled = consumer.disk(full_disk.FILL)
    assert filled.returncode == 0, filled.stderr
    assert "No space left" in consumer.disk(full_disk.WRITE).stdout
    assert consumer.do("flush") == "full", "what was written before, and not yet made visible"
    assert consumer.do(f"write gate/{NOW}/4.jpg") == "full"
    assert consumer.do(f"write yard/{NOW}/1.jpg") == "full"
    # The hour that is over is hidden: nothing removes it to make room.
    assert consumer.do("hours") == str([NOW])

    for _ in range(2):
        freed = consumer.disk(full_disk.FREE)
        assert freed.returncode == 0, freed.stderr
    assert str(tmp_path) not in consumer.mounts()
    for name in (f"gate/{NOW}/3.jpg", f"gate/{NOW}/4.jpg", f"yard/{NOW}/1.jpg"):
        assert consumer.do(f"write {name}") == "done"
    assert consumer.do("flush") == "done"
    wanted = {f"gate/{OVER}/1.jpg", *(f"gate/{NOW}/{number}.jpg" for number in (2, 3, 4)), f"yard/{NOW}/1.jpg"}
    assert files(tmp_path) == {f"data/{path}" for path in wanted}


def test_it_fills_for_this_process_alone(consumer: Consumer, tmp_path: Path) -> None:
    assert consumer.disk(full_disk.FILL).returncode == 0
    (tmp_path / "data" / "elsewhere").write_bytes(b"x")
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


def test_a_write_that_is_not_refused_is_no_proof(consumer: Consumer) -> None:
    done = consumer.disk(full_disk.WRITE)
    assert done.returncode != 0 and "was not refused" in done.stderr


def test_it_can_be_filled_again_where_an_earlier_marathon_was_killed(consumer: Consumer) -> None:
    for _ in range(2):
        filled = consumer.disk(full_disk.FILL)
        assert filled.returncode == 0, filled.stderr
    assert consumer.disk(full_disk.FREE).returncode == 0
    assert consumer.do(f"write gate/{NOW}/5.jpg") == "done"
