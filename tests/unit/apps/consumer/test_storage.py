from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from apps.consumer.records import StoredFile
from apps.consumer.storage import BLOCK, DiskStore, HourDirectory

AT = datetime(2026, 11, 23, 22, tzinfo=UTC)
HOUR = HourDirectory(hour="2026-11-23T22", camera="gate")


def file(sequence: int, data: bytes = b"data") -> StoredFile:
    return StoredFile(kind="frame", path=PurePosixPath("gate", HOUR.hour, f"{sequence}.jpg"), captured_at=AT, data=data)


def test_a_file_is_to_be_seen_only_once_it_is_durable(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.write(file(1))
    assert store.files(HOUR) == []
    assert store.flush() == 1
    assert store.files(HOUR) == ["1.jpg"]
    assert [path.name for path in (tmp_path / "gate" / HOUR.hour).iterdir()] == ["1.jpg"]


def test_the_same_record_twice_is_one_file(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for data in (b"first", b"again"):
        store.write(file(1, data))
    store.flush()
    store.write(file(1, b"later"))
    store.flush()
    assert store.files(HOUR) == ["1.jpg"]
    assert store.open(HOUR, "1.jpg").read() == b"later"


def test_leftovers_of_an_interrupted_run_go(tmp_path: Path) -> None:
    DiskStore(tmp_path).write(file(1))
    (tmp_path / ".trash" / "gate.2026-11-23T21").mkdir(parents=True)
    store = DiskStore(tmp_path)
    assert store.remove_leftovers() == 1
    assert list((tmp_path / ".trash").iterdir()) == []
    assert list((tmp_path / "gate" / HOUR.hour).iterdir()) == []


def test_removing_an_hour_drops_what_was_being_written_into_it(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    store.write(file(1))
    store.remove(HOUR)
    assert store.flush() == 0
    assert store.cameras() == []
    store.write(file(2))
    store.flush()
    assert store.files(HOUR) == ["2.jpg"]


def test_size_follows_what_is_written(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    assert store.size(HOUR) == 0
    for sequence in range(3):
        store.write(file(sequence, b"x" * 100))
        store.flush()
        assert store.size(HOUR) == BLOCK * (sequence + 1)
    store.write(file(3, b"x" * (BLOCK + 1)))
    store.flush()
    assert store.size(HOUR) == BLOCK * 5


def test_strange_directories_are_not_touched(tmp_path: Path) -> None:
    for name in ("lost+found", "gate/notes", "gate/2026-11-23T22"):
        (tmp_path / name).mkdir(parents=True)
    assert DiskStore(tmp_path).hours() == [HOUR]
