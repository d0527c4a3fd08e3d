"""The watch against librdkafka's own mock brokers, and a small stand-in for Elasticsearch."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from apps.messages import STILL, Frame, Result, Skipped, frame_headers, result_to_json
from apps.messages.names import FRAMES_TOPIC, model_group, results_topic
from tests.bench.frames import watch
from tests.bench.frames.watch import Lags, Order, Search, chosen, follow, results

START = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def kafka() -> Iterator[tuple[str, Producer]]:
    """The mock brokers' addresses, and a producer that keeps them running."""
    producer = Producer({"test.mock.num.brokers": 2, "bootstrap.servers": "mock"})
    for topic in (FRAMES_TOPIC, results_topic("objects")):
        for partition in range(2):
            producer.produce(topic, b"first", key=b"k", partition=partition)
    assert producer.flush(20) == 0
    brokers = producer.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{each.host}:{each.port}" for each in brokers), producer


@pytest.fixture
def search() -> Iterator[tuple[str, set[str]]]:
    """An address that answers searches for IDs, and what it finds."""
    indexed: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/results-*/_search?filter_path=hits.hits._id"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = indexed & set(body["query"]["ids"]["values"])
            answer = json.dumps({"hits": {"hits": [{"_id": each} for each in found]}} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", indexed
    server.shutdown()
    server.server_close()


def order(kafka: str, search: str = "http://127.0.0.1:1", seconds: float = 1) -> Order:
    connection = {"bootstrap.servers": kafka}
    return Order(kafka=connection, search=search, models=("objects",), seconds=seconds, late_seconds=5)


def frame(sequence: int, captured_at: datetime) -> Frame:
    return Frame(camera="gate", sequence=sequence, captured_at=captured_at, width=1, height=1, jpeg=b"jpeg")


def send(
    producer: Producer,
    sequence: int,
    captured_at: datetime,
    partition: int = 0,
    late: float = 0.0,
    *,
    looked: bool = True,
) -> str:
    """A frame and its result, whose record is `late` seconds younger than the capture."""
    one = frame(sequence, captured_at)
    result = Result(
        camera=one.camera, sequence=sequence, captured_at=captured_at, width=1, height=1, model="objects",
        model_version="1", processed_at=captured_at, detections=(),
        skipped=None if looked else Skipped(reason=STILL, carried_from=None),
    )  # fmt: skip
    producer.produce(FRAMES_TOPIC, one.jpeg, key=b"gate", headers=[*frame_headers(one)], partition=partition)
    at = int((captured_at.timestamp() + late) * 1000)
    producer.produce(results_topic("objects"), result_to_json(result), partition=partition, timestamp=at)
    return result.id


def test_a_lag_is_what_the_group_has_not_committed(kafka: tuple[str, Producer]) -> None:
    servers, producer = kafka
    for number in range(5):
        send(producer, number, START)
    producer.flush(20)
    group = Consumer({"bootstrap.servers": servers, "group.id": model_group("objects")})
    group.commit(offsets=[TopicPartition(FRAMES_TOPIC, 0, 2), TopicPartition(FRAMES_TOPIC, 1, 1)], asynchronous=False)
    group.close()
    assert Lags(order(servers)).read() == (7, {"objects": 4})


def test_the_time_to_a_result_is_that_of_its_record(kafka: tuple[str, Producer]) -> None:
    servers, producer = kafka
    start = Lags(order(servers)).ends(results_topic("objects"))
    for number, late in enumerate((0.5, 1.25, 3.0)):
        send(producer, number, START, partition=number % 2, late=late, looked=number != 1)
    producer.flush(20)
    end = Lags(order(servers)).ends(results_topic("objects"))
    send(producer, 9, START, late=60)
    producer.flush(20)
    found = sorted(results(order(servers), results_topic("objects"), start, end))
    assert [seconds for seconds, _ in found] == pytest.approx([0.5, 1.25, 3.0], abs=0.002)
    assert [looked for _, looked in found] == [True, False, True]


def test_results_are_looked_for_until_they_are_found(search: tuple[str, set[str]], monkeypatch: Any) -> None:
    url, indexed = search
    monkeypatch.setattr(watch, "SEARCHES_A_SECOND", 0.01)
    looked = Search(order("", url))
    looked.add("gate/1/objects", time.time() - 1)
    looked.add("gate/2/objects", time.time())
    assert looked.left == 1, "the second is too soon after the first"
    looked.ask()
    assert (looked.left, looked.found) == (1, [])
    indexed.add("gate/1/objects")
    looked.ask()
    assert looked.left == 0
    (seconds,) = looked.found
    assert 1 <= seconds < 60


def test_a_whole_step_is_followed(
    kafka: tuple[str, Producer], search: tuple[str, set[str]], monkeypatch: Any, capsys: Any
) -> None:
    (servers, producer), (url, indexed) = kafka, search
    monkeypatch.setattr(watch, "LAG_PERIOD_S", 0.5)
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            indexed.add(send(producer, number, datetime.now(UTC) - timedelta(seconds=1), late=2))
            producer.poll(0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        seen = follow(order(servers, url, seconds=2))
    finally:
        stop.set()
        thread.join()
    assert capsys.readouterr().out == '"ready"\n"over"\n'
    assert seen.frames == sorted(seen.frames)
    assert seen.frames[-1] > seen.frames[0]
    assert len(seen.at) == len(seen.frames) == len(seen.lags["objects"]) >= 3
    assert seen.to_kafka
    assert all(1 <= each < 60 for each in seen.to_kafka)
    assert seen.to_result["objects"] == pytest.approx([2] * len(seen.to_result["objects"]), abs=0.01)
    assert seen.to_search
    assert seen.not_searchable == 0


def test_partitions_that_grow_are_read_spread_over_all() -> None:
    before = dict.fromkeys(range(8), 10)
    after = before | {1: 11, 3: 15, 4: 12, 7: 11}
    assert chosen(before, after, 2) == [1, 4]
    assert chosen(before, after, 9) == [1, 3, 4, 7]
    assert chosen(before, before, 2) == [0, 4]
