"""What the wall shows of records that are read from Kafka, also of odd ones."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME
from prometheus_client import REGISTRY

from apps.messages import Frame, format_timestamp, frame_headers
from apps.ui import reader
from apps.ui.reader import Reader
from apps.ui.settings import Settings
from apps.ui.wall import MAX_UNKNOWN, Wall
from tests.accounts import everything
from tests.environments import GIVEN
from tests.unit.waiting import wait_for

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def record(frame: Frame, *, taken_at: datetime = NOW, kind: int = TIMESTAMP_LOG_APPEND_TIME, **changes: Any) -> Any:
    """A record of the frames topic as Kafka's client gives it."""
    parts = {"key": frame.camera.encode(), "value": frame.jpeg, "headers": frame_headers(frame), **changes}
    milliseconds = int(taken_at.timestamp() * 1000)
    parts |= {"topic": "frames", "partition": 0, "offset": 7, "error": None, "timestamp": (kind, milliseconds)}
    return SimpleNamespace(**{name: lambda part=part: part for name, part in parts.items()})


class Kafka:
    """A Kafka client that reads these records once."""

    def __init__(self, records: list[Any]) -> None:
        self.records = list(records)
        self.assigned: list[Any] = []

    def list_topics(self, timeout: float) -> Any:
        return SimpleNamespace(topics={"frames": SimpleNamespace(partitions={0: None})})

    def offsets_for_times(self, partitions: list[Any], timeout: float) -> list[Any]:
        return partitions

    def incremental_assign(self, partitions: list[Any]) -> None:
        self.assigned += partitions

    def poll(self, _: float) -> Any:
        return self.records.pop(0) if self.records else time.sleep(0.01)

    def close(self) -> None:
        """Leave nothing behind."""


def wall_after(records: list[Any], monkeypatch: pytest.MonkeyPatch) -> Wall:
    """The wall of one camera after a reader has read all records."""
    client = Kafka(records)
    monkeypatch.setattr(reader, "Consumer", lambda *_, **__: client)
    wall = Wall(["gate"], [], patience=timedelta(seconds=10), ring_bytes=2**20)
    reading = Reader(Settings(**{**GIVEN["apps.ui"], "frames_topic": "frames"}), wall)
    reading.start()
    wait_for(lambda: not client.records)
    reading.stop()
    return wall


def frame(sequence: int, captured_at: datetime = NOW, camera: str = "gate") -> Frame:
    return Frame(camera=camera, sequence=sequence, captured_at=captured_at, width=64, height=48, jpeg=b"\xff\xd8")


def shown(wall: Wall, camera: str = "gate") -> dict[str, Any] | None:
    (tile,) = (tile for tile in wall.changes(None, {}, everything)["cameras"] if tile["name"] == camera)
    return tile["frame"]


@pytest.mark.parametrize("days", [-20_000, -1, 1, 27_000])
def test_a_frame_of_a_wrong_clock_is_shown_with_the_time_at_which_kafka_took_it(
    monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    wrong = frame(1, NOW + timedelta(days=days))
    told = shown(wall_after([record(wrong)], monkeypatch))
    assert told is not None and told["captured_at"] == format_timestamp(NOW)
    told = shown(wall_after([record(wrong, kind=TIMESTAMP_CREATE_TIME)], monkeypatch))
    assert told is not None and told["captured_at"] == format_timestamp(wrong.captured_at)


@pytest.mark.parametrize(
    "odd",
    [
        {"key": b"x" * 700_000},
        {"key": b"\xff"},
        {"key": None},
        {"value": None},
        {"headers": None},
        {"headers": [("sequence", b"9" * 700_000)]},
        {"headers": [*frame_headers(frame(1))[1:], ("sequence", b"-1")]},
    ],
)
def test_one_odd_record_hides_no_other(monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]) -> None:
    wall = wall_after([record(frame(1)), record(frame(2), **odd), record(frame(3))], monkeypatch)
    told = shown(wall)
    assert told is not None and told["sequence"] == 3
    assert wall.cameras() == ["gate"]


def test_records_of_too_many_names_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("argus_ui_not_shown_total", {"kind": "frame"}) or 0.0

    before = counted()
    wall = wall_after([record(frame(1, camera=f"x-{number}")) for number in range(100)], monkeypatch)
    assert len(wall.cameras()) == 1 + MAX_UNKNOWN
    assert counted() - before == 100 - MAX_UNKNOWN
