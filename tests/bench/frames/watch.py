"""Follows one step from inside the pods' network: lags, and how late frames and results are.

Started by network.py, with its settings as JSON in stdin. It prints a JSON line when it begins, one when
the time is over, and then what it found. It costs the brokers and Elasticsearch little: it reads the frames and results
of one partition as they come, the results of all cameras only once the time is over, and asks Elasticsearch for a few.
"""

import json
import random
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from apps.messages import frame_from_kafka, result_from_json
from apps.messages.names import FRAMES_TOPIC, RESULT_INDICES, model_group, results_topic
from apps.service.coordinator import once_taken_over
from apps.service.elasticsearch import ElasticsearchSettings

READY, OVER = "ready", "over"
LAG_PERIOD_S = 2.0
SEARCH_PERIOD_S = 0.2
"""Seconds between two questions to Elasticsearch: how exact the time until a result is searchable is."""
SEARCHES_A_SECOND = 4
"""New results that are looked for, of all models."""
LATE_S = 60.0
"""How long results are still looked for after the step."""
_GROUP = "bench-frames"
_TIMEOUT_S = 20.0
_FETCH = {"enable.auto.commit": False, "allow.auto.create.topics": False}

Offsets = dict[int, int]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to follow: `partitions` of the topics, at most, are read as records come."""

    kafka: Mapping[str, str]
    """librdkafka's settings that reach the brokers."""
    search: str
    search_tls: Mapping[str, str] | None = None
    """The files of a client of Elasticsearch (PEM), by name; None: it is asked in plain."""
    models: tuple[str, ...]
    seconds: float
    partitions: int = 1
    late_seconds: float = LATE_S


@dataclass
class Seen:
    """What was found. Times are in seconds; lags are records by model, and `frames` is the topic's end then."""

    at: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    lags: dict[str, list[int]] = field(default_factory=dict)
    to_kafka: list[float] = field(default_factory=list)
    to_result: dict[str, list[float]] = field(default_factory=dict)
    looked: dict[str, list[bool]] = field(default_factory=dict)
    """Of each result by model whether the model looked at the frame."""
    to_search: list[float] = field(default_factory=list)
    not_searchable: int = 0
    """Results that were not searchable when the waiting for them ended."""


class Lags:
    """The end of the frames topic and how far behind it each model's group is.

    What groups have committed is read by consumers that join nothing: an AdminClient that asks a broker which no longer
    coordinates the group ends the process (librdkafka 2.16, a null pointer in its answer's handling).
    """

    def __init__(self, order: Order) -> None:
        self._admin = AdminClient({**order.kafka})
        self._groups = {
            model: Consumer({**order.kafka, "group.id": model_group(model), **_FETCH}) for model in order.models
        }
        self._partitions = self.ends(FRAMES_TOPIC).keys()

    def ends(self, topic: str) -> Offsets:
        """Each partition's next offset."""
        described = self._admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        if described.error is not None:
            raise RuntimeError(f"topic {topic}: {described.error}")
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(topic, partition): latest for partition in described.partitions}
        answers = self._admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_TIMEOUT_S
        )
        return {asked.partition: answer.result().offset for asked, answer in answers.items()}

    def read(self) -> tuple[int, dict[str, int]]:
        """The number of frames ever written, and those that each model has not read yet."""
        lags = {}
        # The groups first, so that no group is ahead of the ends.
        committed = {model: self._committed(group) for model, group in self._groups.items()}
        ends = self.ends(FRAMES_TOPIC)
        for model, offsets in committed.items():
            lags[model] = sum(
                max(0, end - offsets[partition]) for partition, end in ends.items() if partition in offsets
            )
        return sum(ends.values()), lags

    def _committed(self, group: Consumer) -> Offsets:
        wanted = [TopicPartition(FRAMES_TOPIC, partition) for partition in self._partitions]
        # A negative offset: the group has committed none.
        committed = once_taken_over(lambda: group.committed(wanted, _TIMEOUT_S), _TIMEOUT_S)
        return {each.partition: each.offset for each in committed if each.offset >= 0}


class Search:
    """Looks for results in Elasticsearch until it finds them."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._http = httpx.Client(base_url=order.search, timeout=10, trust_env=False, verify=_context(order))
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._next = 0.0
        self.found: list[float] = []
        self.failed: str | None = None
        """Why Elasticsearch was not asked to the end."""

    def add(self, identity: str, captured: float) -> None:
        """Look for a result too, captured at this epoch second, unless enough are looked for."""
        now = time.monotonic()
        with self._lock:
            if now >= self._next:
                # At random, so that not one camera or model alone is looked for.
                self._next = now + random.uniform(0.5, 1.5) / SEARCHES_A_SECOND
                self._waiting[identity] = captured

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop, and then until all are found or too late."""
        deadline: float | None = None
        while deadline is None or (self._waiting and time.monotonic() < deadline):
            time.sleep(SEARCH_PERIOD_S)
            if stop.is_set() and deadline is None:
                deadline = time.monotonic() + self._order.late_seconds
            try:
                self.ask()
            except httpx.HTTPError as error:
                self.failed = repr(error)

    def ask(self) -> None:
        """One question for all that are not found yet. Raises httpx.HTTPError."""
        with self._lock:
            asked = dict(self._waiting)
        if not asked:
            return
        body = {"size": len(asked), "_source": False, "query": {"ids": {"values": list(asked)}}}
        path = f"/{RESULT_INDICES}/_search?filter_path=hits.hits._id"
        answer = self._http.post(path, json=body).raise_for_status().json()
        now = time.time()
        found = {hit["_id"] for hit in answer.get("hits", {}).get("hits", ())} & asked.keys()
        self.found += [now - asked[identity] for identity in found]
        with self._lock:
            for identity in found:
                del self._waiting[identity]

    @property
    def left(self) -> int:
        """How many are not found."""
        return len(self._waiting)


def _context(order: Order) -> ssl.SSLContext | bool:
    """How Elasticsearch is asked, as the pods' own settings have it from such files."""
    if order.search_tls is None:
        return True
    with tempfile.TemporaryDirectory() as folder:
        for name, text in order.search_tls.items():
            Path(folder, name).write_text(text)
        given = {"elasticsearch_url": order.search, "elasticsearch_tls_dir": folder}
        context = ElasticsearchSettings.model_validate(given).elasticsearch_context
    assert context is not None
    return context


def follow(order: Order) -> Seen:
    """Follow the step for its seconds, saying when it begins and ends. Raises KafkaException."""
    lags, search, seen = Lags(order), Search(order), Seen()
    before = lags.ends(FRAMES_TOPIC)
    time.sleep(LAG_PERIOD_S * 2)
    places = chosen(before, lags.ends(FRAMES_TOPIC), order.partitions)
    ends = {topic: lags.ends(topic) for topic in (FRAMES_TOPIC, *map(results_topic, order.models))}
    from_now = [TopicPartition(topic, place, ends[topic][place]) for topic in ends for place in places]
    stop, all_added = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        tail = pool.submit(_tail, order, from_now, search, seen, stop)
        running = [tail, pool.submit(search.run, all_added)]
        try:
            _say(READY)
            _sample(order, lags, seen)
            _say(OVER)
        finally:
            stop.set()
            # The tail may still add a result, which the search must look for before it ends.
            wait([tail])
            all_added.set()
        for model in order.models:
            topic = results_topic(model)
            of_model = list(results(order, topic, ends[topic], lags.ends(topic)))
            seen.to_result[model] = [seconds for seconds, _ in of_model]
            seen.looked[model] = [looked for _, looked in of_model]
        for each in running:
            each.result()
    if search.failed and not search.found:
        raise RuntimeError(f"Elasticsearch does not answer: {search.failed}")
    seen.to_search, seen.not_searchable = search.found, search.left
    return seen


def _sample(order: Order, lags: Lags, seen: Seen) -> None:
    """Read ends and lags every few seconds until the step's time is over."""
    began = time.monotonic()
    while (at := time.monotonic() - began) <= order.seconds:
        end, behind = lags.read()
        seen.at.append(at)
        seen.frames.append(end)
        for model, lag in behind.items():
            seen.lags.setdefault(model, []).append(lag)
        time.sleep(max(0.0, min(at + LAG_PERIOD_S, order.seconds + 0.01) - (time.monotonic() - began)))


def chosen(before: Offsets, after: Offsets, count: int) -> list[int]:
    """Partitions that have grown, spread over all of them; any if none has."""
    grown = [partition for partition, end in sorted(after.items()) if end > before.get(partition, 0)] or sorted(after)
    return grown[:: max(1, len(grown) // count)][:count]


def results(order: Order, topic: str, start: Offsets, end: Offsets) -> Iterator[tuple[float, bool]]:
    """The results between two ends of a topic: the seconds from capture to record, and whether the model looked."""
    consumer = Consumer({**order.kafka, "group.id": _GROUP, **_FETCH})
    left = {
        partition: last - start.get(partition, 0) for partition, last in end.items() if last > start.get(partition, 0)
    }
    consumer.assign([TopicPartition(topic, partition, start.get(partition, 0)) for partition in left])
    deadline = time.monotonic() + order.late_seconds
    try:
        while left and time.monotonic() < deadline:
            message: Any
            for message in consumer.consume(1000, timeout=1.0):
                partition = message.partition()
                if message.error() or message.offset() >= end[partition]:
                    continue
                if message.offset() == end[partition] - 1:
                    left.pop(partition, None)
                result = result_from_json(message.value())
                yield message.timestamp()[1] / 1000 - result.captured_at.timestamp(), result.skipped is None
    finally:
        consumer.close()


def _tail(order: Order, places: Sequence[TopicPartition], search: Search, seen: Seen, stop: threading.Event) -> None:
    """Read the frames and results of these places as they come."""
    consumer = Consumer({**order.kafka, "group.id": _GROUP, "fetch.wait.max.ms": 500, **_FETCH})
    consumer.assign([*places])
    try:
        while not stop.is_set():
            message: Any = consumer.poll(0.5)
            if message is None or message.error():
                continue
            now = time.time()
            if message.topic() == FRAMES_TOPIC:
                frame = frame_from_kafka(message.key(), message.value(), message.headers())
                # Not by the record's own time, which is that of the capture: by when a reader gets it.
                seen.to_kafka.append(now - frame.captured_at.timestamp())
            else:
                result = result_from_json(message.value())
                search.add(result.id, result.captured_at.timestamp())
    finally:
        consumer.close()


def _say(word: str) -> None:
    print(json.dumps(word), flush=True)


def main() -> int:
    """Follow the order in stdin."""
    said: dict[str, Any] = json.load(sys.stdin)
    seen = follow(Order(**{**said, "models": tuple(said["models"])}))
    print(json.dumps(asdict(seen)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
