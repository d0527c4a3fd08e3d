"""A disk that is really full: nothing is committed that is not stored, and all of it is stored once there is room."""

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TopicPartition

from apps.consumer import ingest, metrics, retention, storage
from apps.consumer.ingest import Ingest
from apps.consumer.retention import Retention
from apps.consumer.settings import Settings
from apps.consumer.storage import TRASH, DiskStore, HourDirectory
from apps.messages import Frame, frame_headers, frame_path, hour_of
from tests.environments import GIVEN

NOW = datetime.now(UTC)
CAMERAS = ("gate", "lobby", "yard")
"""Each in a partition of its own."""
JPEG = b"\xff\xd8" + b"x" * 30_000
FRAMES = 40
EXPECTED = {str(frame_path(camera, NOW, number)) for camera in CAMERAS for number in range(FRAMES)}
"""3.6 MB of frames."""

SmallDisk = Callable[[str], Path]


class Clock(datetime):
    """Stands still, so that the hour of the frames stays the current one when a test runs past the full hour."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp(), tz)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """`small_disk("size=2m")`: a folder that is a file system of this size."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


class Record:
    """A frame in Kafka."""

    def __init__(self, partition: int, offset: int) -> None:
        self._partition, self._offset = partition, offset
        self._frame = Frame(camera=CAMERAS[partition], sequence=offset, captured_at=NOW, width=64, height=48, jpeg=JPEG)

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return "frames"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, int(NOW.timestamp() * 1000)

    def key(self) -> bytes:
        return self._frame.camera.encode()

    def value(self) -> bytes:
        return JPEG

    def headers(self) -> list[tuple[str, bytes]]:
        return frame_headers(self._frame)


class Log:
    """A Kafka client with FRAMES frames of each camera. A paused partition gives one record more, as one on its way.

    `on_idle` is called whenever there is nothing to give.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self.positions = dict.fromkeys(range(len(CAMERAS)), 0)
        self.paused: set[int] = set()
        self._on_its_way: list[int] = []
        self.on_idle: Callable[[], None] = lambda: None
        self.most_paused = 0

    def subscribe(self, *_: object, **__: object) -> None:
        """Join no group."""

    def poll(self, _: float) -> Any:
        for partition in (*self._on_its_way, *sorted(self.positions, key=lambda each: self.positions[each])):
            free = partition not in self.paused or partition in self._on_its_way
            if free and self.positions[partition] < FRAMES:
                if partition in self._on_its_way:
                    self._on_its_way.remove(partition)
                self.positions[partition] += 1
                return Record(partition, self.positions[partition] - 1)
        self.on_idle()
        return None

    def pause(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            self.paused.add(each.partition)
            self._on_its_way.append(each.partition)
        self.most_paused = max(self.most_paused, len(self.paused))

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {each.partition for each in partitions}

    def seek(self, partition: TopicPartition) -> None:
        assert partition.partition not in self.paused
        self.positions[partition.partition] = partition.offset
        self._on_its_way.clear()

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        for each in offsets:
            promised = {str(frame_path(CAMERAS[each.partition], NOW, number)) for number in range(each.offset)}
            assert promised <= stored(self._data), "committed, and not on disk"
        return offsets

    def close(self) -> None:
        """Leave no group."""


def stored(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in data.glob("*/*/*.jpg") if not path.name.startswith(".")}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Log]:
    """Runs the loop on a disk until it stops; `when_full` is called each time that it waits."""
    monkeypatch.setattr(ingest, "ROOM_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(retention, "datetime", Clock)

    def running(data: Path, when_full: Callable[[], None], store: DiskStore | None = None, *, hours: int = 48) -> Log:
        changes = {
            "results_topics": "results.objects",
            "consumer_member": "consumer-0",
            "data_dir": data,
            "batch_records": 10,
        }
        settings, log = Settings(**{**GIVEN["apps.consumer"], **changes}), Log(data)
        store = store or DiskStore(data)
        hours_kept = Retention(store, retention_hours=hours, max_bytes=2**40, every_seconds=60)
        monkeypatch.setattr(ingest, "Consumer", lambda *_, **__: log)
        loop = Ingest(settings, store, hours_kept.make_room)
        polls = 0

        def idle() -> None:
            nonlocal polls
            polls += 1
            assert polls < 20_000, "it neither waits nor comes back"
            time.sleep(0.001)
            if stored(data) == EXPECTED and set(log.positions.values()) == {FRAMES}:
                loop.stop()
            elif log.paused:
                when_full()

        log.on_idle = idle
        loop.run()
        return log

    return running


def test_writes_stop_and_come_back_by_themselves_and_each_frame_is_there_once(
    small_disk: SmallDisk, run: Callable[..., Log]
) -> None:
    data = small_disk("size=6m")
    ballast = data / "ballast"
    ballast.write_bytes(b"x" * 4 * 2**20)
    seen: list[tuple[set[str], float]] = []

    def when_full() -> None:
        seen.append((stored(data), metrics.DISK_FULL._value.get()))
        if len(seen) == 5:
            ballast.unlink()

    log = run(data, when_full)
    assert len(seen) >= 5 and log.most_paused == len(CAMERAS)
    # What fitted was stored and stayed, and nothing went while it waited.
    assert all(there and there < EXPECTED and full == 1 for there, full in seen[:5])
    assert all(seen[0][0] <= there for there, _ in seen)
    assert stored(data) == EXPECTED
    assert all((data / each).read_bytes() == JPEG for each in EXPECTED)
    assert [path.name for path in data.rglob("*.tmp")] == []
    assert metrics.DISK_FULL._value.get() == 0


def test_older_hours_go_before_anything_waits(small_disk: SmallDisk, run: Callable[..., Log]) -> None:
    data = small_disk("size=5m")
    for age in (3, 2):
        hour = data / "gate" / hour_of(NOW - timedelta(hours=age))
        hour.mkdir(parents=True)
        (hour / "1.jpg").write_bytes(b"x" * 2 * 2**20)
    log = run(data, lambda: None)
    assert log.most_paused == 0
    assert stored(data) >= EXPECTED


def test_a_refusal_when_a_batch_is_made_durable_costs_nothing(tmp_path: Path, run: Callable[..., Log]) -> None:
    """As network file systems and quotas refuse: only then."""

    class Refusing(DiskStore):
        refusals = 3

        def flush(self) -> int:
            if self._pending and self.refusals:
                self.refusals -= 1
                for file in self._pending:
                    os.close(file.descriptor)
                    file.temporary.unlink(missing_ok=True)
                self._pending = []
                raise OSError(errno.EDQUOT, "Disk quota exceeded")
            return super().flush()

    store = Refusing(tmp_path)
    log = run(tmp_path, lambda: None, store)
    assert store.refusals == 0 and log.most_paused
    assert stored(tmp_path) == EXPECTED


def test_any_other_error_of_the_disk_ends_the_process(tmp_path: Path, run: Callable[..., Log]) -> None:
    class Broken(DiskStore):
        def write(self, file: Any) -> None:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        run(tmp_path, lambda: None, Broken(tmp_path))


def test_an_hour_can_go_where_no_file_and_no_folder_can_be_made(small_disk: SmallDisk) -> None:
    data = small_disk("size=2m,nr_inodes=12")
    store = DiskStore(data)
    hour = HourDirectory(hour="2026-01-01T00", camera="gate")
    folder = data / hour.camera / hour.hour
    folder.mkdir(parents=True)
    number = 0
    with pytest.raises(OSError, match="No space left"):
        for number in range(20):
            (folder / f"{number}.jpg").write_bytes(b"x")
    assert number > 3
    store.remove(hour)
    assert store.hours() == [] and (data / TRASH).is_dir()


def test_an_hour_can_go_where_there_was_no_room_for_the_trash(small_disk: SmallDisk) -> None:
    data = small_disk("size=2m,nr_inodes=5")
    hour = HourDirectory(hour="2026-01-01T00", camera="gate")
    folder = data / hour.camera / hour.hour
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"{number}.jpg").write_bytes(b"x")
    store = DiskStore(data)
    assert not (data / TRASH).exists()
    store.remove(hour)
    assert store.hours() == []


def test_a_disk_that_lets_nothing_be_removed_makes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = HourDirectory(hour="2026-01-01T00", camera="gate")
    folder = tmp_path / hour.camera / hour.hour
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(b"x")
    store = DiskStore(tmp_path)
    (tmp_path / TRASH).rmdir()
    monkeypatch.setattr(storage.shutil, "rmtree", lambda *_, **__: None)
    kept = Retention(store, retention_hours=48, max_bytes=2**40, every_seconds=60)
    assert not kept.make_room()
    assert [each.hour for each in store.hours()] == [hour.hour]
