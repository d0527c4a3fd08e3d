import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from apps.consumer import clocks
from apps.consumer.clocks import BrokersClock
from apps.consumer.retention import Retention, expired, surplus
from apps.consumer.storage import BLOCK, REMOVED, DiskStore, HourDirectory

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
    retention = Retention(store, retention_hours=48, max_bytes=2 * BLOCK, every_seconds=60)
    assert retention.apply(NOW) == 2
    assert [directory.hour for directory in store.hours()] == ["2026-11-23T21", "2026-11-23T22"]


def test_a_full_disk_costs_the_oldest_hour_but_never_the_current(tmp_path: Path) -> None:
    current = f"{datetime.now(UTC):%Y-%m-%dT%H}"
    for name in ("2026-01-01T00", current):
        (tmp_path / "gate" / name).mkdir(parents=True)
    store = DiskStore(tmp_path)
    retention = Retention(store, retention_hours=48, max_bytes=2 * BLOCK, every_seconds=60)
    assert retention.make_room()
    assert not retention.make_room()
    assert [directory.hour for directory in store.hours()] == [current]


def written(store: DiskStore, hour: str, at: datetime, camera: str = "gate") -> None:
    """An hour with one file of 100 bytes, written at a time of this machine's clock."""
    folder = store.root / camera / hour
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(b"x" * 100)
    os.utime(folder, (at.timestamp(), at.timestamp()))


def kept_by(store: DiskStore, now: datetime, *, hours: int = 48, max_bytes: int = 100 * BLOCK) -> list[str]:
    Retention(store, retention_hours=hours, max_bytes=max_bytes, every_seconds=60).apply(now)
    return [directory.hour for directory in store.hours()]


def test_an_hour_from_the_future_goes_when_what_was_written_with_it_goes(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    written(store, "2099-01-01T00", NOW)
    assert kept_by(store, NOW + timedelta(hours=47)) == ["2099-01-01T00"]
    assert kept_by(store, NOW + timedelta(hours=48)) == []


def test_an_hour_of_this_machine_s_own_wrong_clock_ages_from_when_it_was_set_back(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    written(store, "2099-01-01T00", datetime(2099, 1, 1, tzinfo=UTC))
    assert kept_by(store, NOW) == ["2099-01-01T00"]
    assert kept_by(DiskStore(tmp_path), NOW + timedelta(hours=47)) == ["2099-01-01T00"]
    assert kept_by(DiskStore(tmp_path), NOW + timedelta(hours=48)) == []


def test_an_hour_from_the_future_makes_room_in_its_turn(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    written(store, "2099-01-01T00", NOW - timedelta(hours=2))
    written(store, "2099-01-02T00", NOW)
    for hour in ("2026-11-23T19", "2026-11-23T21", "2026-11-23T22"):
        written(store, hour, NOW)
    assert kept_by(store, NOW, max_bytes=4 * BLOCK) == [
        "2026-11-23T21",
        "2026-11-23T22",
        "2099-01-01T00",
        "2099-01-02T00",
    ]
    assert kept_by(store, NOW, max_bytes=3 * BLOCK) == ["2026-11-23T21", "2026-11-23T22", "2099-01-02T00"]
    # Neither the current hour nor what is written in it is removed.
    assert kept_by(store, NOW, max_bytes=0) == ["2026-11-23T22", "2099-01-02T00"]


def test_a_full_disk_costs_an_hour_from_the_future_that_was_written_earlier(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    now = datetime.now(UTC)
    written(store, "2999-01-01T00", now - timedelta(hours=3))
    written(store, "2999-01-02T00", now)
    retention = Retention(store, retention_hours=48, max_bytes=2 * BLOCK, every_seconds=60)
    assert retention.make_room()
    assert not retention.make_room()
    assert [directory.hour for directory in store.hours()] == ["2999-01-02T00"]


def test_a_clock_that_is_ahead_deletes_nothing_by_age_where_the_brokers_know_better(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    for hour in ("2026-11-21T22", "2026-11-23T21", "2026-11-23T22"):
        written(store, hour, NOW)
    brokers = BrokersClock()
    retention = Retention(store, retention_hours=48, max_bytes=100 * BLOCK, every_seconds=60, brokers_clock=brokers)
    brokers.told(NOW)
    assert retention.apply(NOW + timedelta(days=400)) == 1
    assert [directory.hour for directory in store.hours()] == ["2026-11-23T21", "2026-11-23T22"]
    brokers.told(NOW + timedelta(hours=49))
    assert retention.apply(NOW) == 0
    assert retention.apply(NOW + timedelta(days=400)) == 2


def test_the_brokers_time_goes_on_without_records(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = BrokersClock()
    assert clock.earlier(NOW) == NOW
    moments = iter((100.0, 160.0, 160.0))
    monkeypatch.setattr(clocks, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    clock.told(NOW)
    assert clock.earlier(NOW + timedelta(days=1)) == NOW + timedelta(minutes=1)
    assert clock.earlier(NOW - timedelta(days=1)) == NOW - timedelta(days=1)


def test_what_was_removed_is_remembered_by_camera(tmp_path: Path) -> None:
    """So that nobody takes it for lost; an hour from the future says nothing of those before it."""
    store = DiskStore(tmp_path)
    for camera, hour in (("gate", "2026-11-20T20"), ("gate", "2026-11-23T20"), ("yard", "2026-11-23T19")):
        written(store, hour, NOW, camera)
    written(store, "2036-11-23T20", NOW - timedelta(days=5))
    written(store, "2026-11-23T22", NOW)
    retention = Retention(store, retention_hours=48, max_bytes=BLOCK, every_seconds=60)
    assert retention.apply(NOW) == 4
    assert store.removed() == {"gate": "2026-11-23T20", "yard": "2026-11-23T19"}
    assert DiskStore(tmp_path).removed() == store.removed()
    assert [directory.hour for directory in store.hours()] == ["2026-11-23T22"]


def test_a_full_disk_remembers_too(tmp_path: Path) -> None:
    (tmp_path / "gate" / "2026-01-01T00").mkdir(parents=True)
    store = DiskStore(tmp_path)
    assert Retention(store, retention_hours=48, max_bytes=BLOCK, every_seconds=60).make_room()
    assert store.removed() == {"gate": "2026-01-01T00"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"gate": 7}'])
def test_what_was_removed_is_not_known_where_the_record_of_it_is_damaged(tmp_path: Path, content: str) -> None:
    store = DiskStore(tmp_path)
    (tmp_path / REMOVED).write_text(content)
    assert store.removed() == {}
    store.note_removed(hours("2026-11-23T20"))
    assert store.removed() == {"gate": "2026-11-23T20"}


def test_the_oldest_hour_that_is_kept_is_of_the_earlier_clock(tmp_path: Path) -> None:
    brokers = BrokersClock()
    brokers.told(NOW)
    retention = Retention(
        DiskStore(tmp_path), retention_hours=2, max_bytes=BLOCK, every_seconds=60, brokers_clock=brokers
    )
    assert retention.kept_from() == "2026-11-23T21"
