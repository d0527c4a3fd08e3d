"""How the loop handles Kafka's errors."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, TopicPartition

from apps.consumer import ingest
from apps.consumer.ingest import Ingest
from apps.consumer.settings import Settings
from apps.consumer.storage import DiskStore
from apps.messages import Frame, frame_headers, frame_path
from tests.environments import GIVEN


class Record:
    """A record of the frames topic, with the time at which the broker took it."""

    def __init__(self, frame: Frame, taken_at: datetime) -> None:
        self._frame, self._taken_at = frame, taken_at

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return "frames"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, int(self._taken_at.timestamp() * 1000)

    def key(self) -> bytes:
        return self._frame.camera.encode()

    def value(self) -> bytes:
        return self._frame.jpeg

    def headers(self) -> list[tuple[str, bytes]]:
        return frame_headers(self._frame)


class GivingConsumer:
    """A Kafka client that gives one record, and stops the loop at the next poll."""

    def __init__(self, record: Record) -> None:
        self._records = [record]
        self.stop: Any = None
        self.committed: list[int] = []

    def subscribe(self, *_: object, **__: object) -> None:
        """Join no group."""

    def poll(self, _: float) -> Any:
        if self._records:
            return self._records.pop()
        self.stop()
        return None

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        self.committed += [each.offset for each in offsets]
        return offsets

    def close(self) -> None:
        """Leave no group."""


class FailingConsumer:
    """A Kafka client that reports one error and stops the loop at the next poll."""

    def __init__(self, error: KafkaError) -> None:
        self._error: KafkaError | None = error
        self.stop: Any = None
        self.closed = False

    def subscribe(self, *_: object, **__: object) -> None:
        """Join no group."""

    def poll(self, _: float) -> Any:
        error, self._error = self._error, None
        if error is None:
            self.stop()
            return None
        return type("Message", (), {"error": lambda self: error})()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    changes = {"results_topics": "results.objects", "consumer_member": "consumer-0", "data_dir": tmp_path}
    return Settings(**{**GIVEN["apps.consumer"], **changes})


def consumed(settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int) -> FailingConsumer:
    client = FailingConsumer(KafkaError(code))
    monkeypatch.setattr(ingest, "Consumer", lambda *_, **__: client)
    loop = Ingest(settings, DiskStore(settings.data_dir), lambda: False)
    client.stop = loop.stop
    try:
        loop.run()
    finally:
        assert client.closed
    return client


def test_an_error_that_the_client_never_recovers_from_ends_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KafkaException):
        consumed(settings, monkeypatch, KafkaError._FATAL)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._PARTITION_EOF])
def test_the_loop_goes_on_after_any_other(settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    consumed(settings, monkeypatch, code)


class Ahead(datetime):
    """The clock of a machine that is ahead by 400 days."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + timedelta(days=400)


def test_a_clock_that_is_ahead_takes_no_frame_for_expired(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    frame = Frame(camera="gate", sequence=9, captured_at=now, width=64, height=48, jpeg=b"\xff\xd8")
    client = GivingConsumer(Record(frame, now))
    monkeypatch.setattr(ingest, "Consumer", lambda *_, **__: client)
    monkeypatch.setattr(ingest, "datetime", Ahead)
    loop = Ingest(settings, DiskStore(settings.data_dir), lambda: False)
    client.stop = loop.stop
    loop.run()
    assert (settings.data_dir / frame_path("gate", now, 9)).exists()


@pytest.mark.parametrize("days", [-20_000, -3, 0, 3, 27_000])
def test_a_frame_is_stored_however_wrong_its_producer_s_clock_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    now = datetime.now(UTC)
    claimed = now + timedelta(days=days)
    frame = Frame(camera="gate", sequence=9, captured_at=claimed, width=64, height=48, jpeg=b"\xff\xd8")
    client = GivingConsumer(Record(frame, now))
    monkeypatch.setattr(ingest, "Consumer", lambda *_, **__: client)
    loop = Ingest(settings, DiskStore(settings.data_dir), lambda: False)
    client.stop = loop.stop
    loop.run()
    assert (settings.data_dir / frame_path("gate", now, 9)).read_bytes() == frame.jpeg
    assert client.committed == [8]
