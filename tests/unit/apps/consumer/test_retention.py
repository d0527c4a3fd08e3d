from datetime import UTC, datetime
from pathlib import Path

import pytest

from apps.consumer.retention import Retention, expired, surplus
from apps.consumer.storage import DiskStore, HourDirectory

NOW = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)


def hours(*names: str, camera: str = "gate") -> list[HourDirectory]:
    return [HourDirectory(hour=name, camera=camera) for name in names]


ALL = hours("2026-11-23T20", "2026-11-23T22", "2026-11-23T21") + hours("2026-11-23T20", camera="lobby")


def test_hours_past_their_age_go_oldest_first() -> None:
    assert expired(ALL, NOW, 2) == hours("2026-11-23T20") + hours("2026-11-23T20", camera="lobby")
    assert expired(ALL, NOW, 3) == []
    assert [directory.hour for directory in expired(ALL, NOW, 1)] == ["2026-11-23T20", "2026-11-23T20", "2026-11-23T21"]


@pytest.mark.parametrize(("limit", "count"), [(40, 0), (39, 1), (30, 1), (29, 2), (15, 3), (0, 3)])
def test_the_oldest_hours_go_until_the_rest_fits(limit: int, count: int) -> None:
    doomed = surplus(ALL, lambda _: 10, NOW, limit)
    assert len(doomed) == count
    assert doomed == sorted(doomed)
    assert all(directory.hour < "2026-11-23T22" for directory in doomed)


def test_it_applies_both_rules(tmp_path: Path) -> None:
    for name in ("2026-11-20T20", "2026-11-23T20", "2026-11-23T21", "2026-11-23T22"):
        folder = tmp_path / "gate" / name
        folder.mkdir(parents=True)
        (folder / "1.jpg").write_bytes(b"x" * 100)
    store = DiskStore(tmp_path)
    retention = Retention(store, retention_hours=48, max_bytes=200, every_seconds=60)
    assert retention.apply(NOW) == 2
    assert [directory.hour for directory in store.hours()] == ["2026-11-23T21", "2026-11-23T22"]


def test_a_full_disk_costs_the_oldest_hour_but_never_the_current(tmp_path: Path) -> None:
    current = f"{datetime.now(UTC):%Y-%m-%dT%H}"
    for name in ("2026-01-01T00", current):
        (tmp_path / "gate" / name).mkdir(parents=True)
    store = DiskStore(tmp_path)
    retention = Retention(store, retention_hours=48, max_bytes=200, every_seconds=60)
    assert retention.make_room()
    assert not retention.make_room()
    assert [directory.hour for directory in store.hours()] == [current]
