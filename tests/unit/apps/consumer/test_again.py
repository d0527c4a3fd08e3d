"""Records that are to be stored again: what becomes of each, by the rules of the first time."""

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, TopicPartition

from apps.consumer import again
from apps.consumer.again import MOST_RECORDS, StoreAgain
from apps.consumer.clocks import BrokersClock
from apps.consumer.settings import Settings
from apps.consumer.storage import DiskStore, HourDirectory
from apps.messages import Frame, Result, frame_headers, hour_of, result_to_json
from apps.service.http import Answer, Request, not_found
from tests.environments import GIVEN

NOW = datetime.now(UTC)
RESULTS = "results.objects"


class Record:
    """A record of Kafka, or the end of its partition."""

    def __init__(self, at: int, key: bytes = b"", value: bytes = b"", headers: Any = None, end: bool = False) -> None:
        self._at, self._key, self._value, self._headers, self._end = at, key, value, headers, end

    def error(self) -> KafkaError | None:
        return KafkaError(KafkaError._PARTITION_EOF) if self._end else None

    def offset(self) -> int:
        return self._at

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_LOG_APPEND_TIME, int(NOW.timestamp() * 1000)

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return self._value

    def headers(self) -> Any:
        return self._headers


class Kafka:
    """A client of topics with one partition, by offset; offsets that are left out are deleted."""

    def __init__(self, topics: dict[str, dict[int, Record]]) -> None:
        self.topics = topics
        self.assigned: list[tuple[str, int]] = []
        self._rest: list[Record] = []

    def assign(self, partitions: list[TopicPartition]) -> None:
        (one,) = partitions
        self.assigned.append((one.topic, one.offset))
        records = self.topics[one.topic]
        end = max(records, default=-1) + 1
        self._rest = [records[at] for at in sorted(records) if at >= one.offset] + [Record(end, end=True)]

    def unassign(self) -> None:
        self._rest = []

    def poll(self, _: float) -> Record:
        return self._rest.pop(0)

    def close(self) -> None:
        """Leave no group."""


def frame(sequence: int, at: datetime = NOW) -> Frame:
    return Frame(camera="gate", sequence=sequence, captured_at=at, width=64, height=48, jpeg=b"\xff\xd8 picture")


def frame_record(at: int, one: Frame) -> Record:
    return Record(at, one.camera.encode(), one.jpeg, frame_headers(one))


def result_record(at: int, one: Frame) -> Record:
    made = Result(
        camera=one.camera,
        sequence=one.sequence,
        captured_at=one.captured_at,
        width=one.width,
        height=one.height,
        model="objects",
        model_version="1",
        processed_at=one.captured_at,
        detections=(),
    )
    return Record(at, made.id.encode(), result_to_json(made))


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka(
        {
            "frames": {at: frame_record(at, frame(at)) for at in range(10, 60)},
            RESULTS: {at: result_record(at, frame(at)) for at in range(10, 60)},
        }
    )
    monkeypatch.setattr(again, "Consumer", lambda *_, **__: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(kafka: Kafka, folder: Path) -> StoreAgain:
    changes = {"results_topics": RESULTS, "frames_topic": "frames", "consumer_member": "c", "data_dir": folder}
    settings = Settings.model_validate({**GIVEN["apps.consumer"], **changes})
    return StoreAgain(settings, DiskStore(folder), BrokersClock())


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_frames_and_results_are_stored_under_their_names(store: StoreAgain, folder: Path) -> None:
    wanted = [("frames", 0, 12), (RESULTS, 0, 11), ("frames", 0, 50), (RESULTS, 0, 11)]
    assert store.store(wanted) == ["stored"] * 4
    hour = hour_of(NOW)
    assert files(folder) == {f"gate/{hour}/12.jpg", f"gate/{hour}/11.objects.json", f"gate/{hour}/50.jpg"}
    assert (folder / "gate" / hour / "12.jpg").read_bytes() == b"\xff\xd8 picture"
    # Twice leaves the same.
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    assert store.store(wanted) == ["stored"] * 4
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_records_far_apart_are_not_read_with_all_between_them(store: StoreAgain, kafka: Kafka) -> None:
    store.store([("frames", 0, at) for at in (10, 11, 14, 55, 58)])
    assert kafka.assigned == [("frames", 10), ("frames", 55)]


def test_what_kafka_has_deleted_is_gone(store: StoreAgain, kafka: Kafka, folder: Path) -> None:
    del kafka.topics["frames"][20]
    outcomes = store.store([("frames", 0, at) for at in (3, 19, 20, 21, 70)])
    assert outcomes == ["gone", "stored", "gone", "stored", "gone"]
    assert {name.rpartition("/")[2] for name in files(folder)} == {"19.jpg", "21.jpg"}


def test_what_retention_would_take_away_again_is_not_stored(store: StoreAgain, kafka: Kafka, folder: Path) -> None:
    early, old = NOW - timedelta(hours=2), NOW - timedelta(days=400)
    kafka.topics[RESULTS] |= {60: result_record(60, frame(60, early)), 61: result_record(61, frame(61, old))}
    DiskStore(folder).note_removed([HourDirectory(hour=hour_of(early), camera="gate")])
    assert store.store([(RESULTS, 0, at) for at in (59, 60, 61)]) == ["stored", "removed", "expired"]
    assert {name.rpartition("/")[2] for name in files(folder)} == {"59.objects.json", ".removed.json"}


def test_what_is_no_frame_and_what_is_not_of_these_topics_is_rejected(store: StoreAgain, kafka: Kafka) -> None:
    kafka.topics["frames"][60] = Record(60, b"gate", b"text")
    assert store.store([("frames", 0, 60), ("somebody.elses", 0, 1)]) == ["rejected", "rejected"]


@pytest.mark.parametrize("step", ["write", "flush"])
def test_a_full_disk_stores_nothing_and_says_so(
    store: StoreAgain, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as full:
        full.setattr(store._store, step, refuse)
        assert store.store([("frames", 0, 12)]) == ["full"]
    assert not [name for name in files(folder) if name.endswith(".jpg")]


def asked(store: StoreAgain, body: Any, method: str = "POST") -> Answer:
    request = Request(method=method, path="/store-again", body=json.dumps(body).encode())
    return store.handler(not_found)(request)


def test_the_answer_has_an_outcome_for_each_record(store: StoreAgain) -> None:
    answer = asked(store, {"records": [["frames", 0, 12], [RESULTS, 0, 3]]})
    assert (answer.status, answer.body) == (200, b'{"outcomes": ["stored", "gone"]}')


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"records": 1},
        {"records": [["frames", 0]]},
        {"records": [["frames", 0, -1]]},
        {"records": [["frames", "x", 1]]},
        {"records": [["frames", 0, 1]] * (MOST_RECORDS + 1)},
    ],
)
def test_an_odd_request_gets_400(store: StoreAgain, body: Any) -> None:
    assert asked(store, body).status == 400


def test_other_requests_are_for_the_files(store: StoreAgain) -> None:
    assert asked(store, {}, "GET").status == 405
    other = Request(method="GET", path="/frames/", body=b"")
    assert store.handler(not_found)(other).status == 404


def test_kafka_that_does_not_answer_is_503(store: StoreAgain, kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    silent: Callable[[float], Any] = lambda _: None  # noqa: E731
    monkeypatch.setattr(kafka, "poll", silent)
    assert asked(store, {"records": [["frames", 0, 12]]}).status == 503
