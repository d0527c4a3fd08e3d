"""Stores records again that the comparison (apps/indices/compare.py) finds in Kafka and on no disk.

They are written as when they were read first: to the same files, by the same rules. So it does no harm to store again
what is there.
"""

import itertools
import json
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from apps.consumer import metrics
from apps.consumer.clocks import BrokersClock
from apps.consumer.ingest import Place, file_of
from apps.consumer.records import Kind, RejectedError
from apps.consumer.retention import oldest_kept
from apps.consumer.settings import Settings
from apps.consumer.storage import TEMPORARY_SUFFIX, DiskStore, is_full
from apps.messages import taken_by_kafka
from apps.messages.names import STORE_AGAIN
from apps.service.http import Answer, Handler, Request, as_json

MOST_RECORDS: Final = 500
"""The most records of one request. Each keeps a file open until all are written."""

NEAR: Final = 20
"""Records that are at most this far apart are read in one go."""

ANSWER_SECONDS: Final = 20.0

Outcome = Literal["stored", "expired", "removed", "rejected", "gone", "full"]
"""What became of a record. `expired` and `removed` are those that retention would take away again, `rejected` those
that are no frame or result, `gone` those that Kafka has deleted."""

Wanted = tuple[str, int, int]
"""The topic, partition and offset of a record."""

logger = logging.getLogger(__name__)


class StoreAgain:
    """Reads records by their offsets and writes them. One request at a time."""

    def __init__(self, settings: Settings, store: DiskStore, brokers_clock: BrokersClock) -> None:
        self._settings, self._brokers_clock = settings, brokers_clock
        self._removed = store.removed
        # A store of its own: a flush that fails drops what was written since the one before, and only its caller knows.
        self._store = DiskStore(settings.data_dir, suffix=f".again{TEMPORARY_SUFFIX}")
        self._topics = {settings.frames_topic, *settings.results_topics}
        self._lock = threading.Lock()

    def handler(self, rest: Handler) -> Handler:
        """Answers `POST /store-again`, and hands all else to `rest`."""
        return lambda request: self._answer(request) if request.path == STORE_AGAIN else rest(request)

    def close(self) -> None:
        """Drop what is not complete."""
        self._store.close()

    def store(self, wanted: Sequence[Wanted]) -> list[Outcome]:
        """What became of each record. Raises KafkaException, TimeoutError or OSError, and may have stored some then."""
        outcomes: dict[Wanted, Outcome] = {}
        written: list[tuple[Wanted, Kind]] = []
        with self._lock:
            removed = self._removed()
            first = oldest_kept(self._brokers_clock.earlier(datetime.now(UTC)), self._settings.retention_hours)
            for each, message in self._records(each for each in set(wanted) if each[0] in self._topics):
                if message is None:
                    outcomes[each] = "gone"
                    continue
                try:
                    file = file_of(each[0] == self._settings.frames_topic, message, taken_by_kafka(message.timestamp()))
                    camera = file.path.parts[0]
                    if file.hour < first or file.hour <= removed.get(camera, ""):
                        outcomes[each] = "expired" if file.hour < first else "removed"
                        continue
                    self._store.write(file)
                    written.append((each, file.kind))
                except RejectedError as rejected:
                    logger.warning("skipped %s[%d]@%d: %s", *each, rejected)
                    outcomes[each] = "rejected"
                except OSError as refused:
                    # Older hours do not make room for what is older still.
                    if not is_full(refused):
                        raise
                    outcomes[each] = "full"
            outcomes |= self._flush(written)
        return [outcomes.get(each, "rejected") for each in wanted]

    def _flush(self, written: Sequence[tuple[Wanted, Kind]]) -> dict[Wanted, Outcome]:
        try:
            self._store.flush()
        except OSError as refused:
            if not is_full(refused):
                raise
            return {each: "full" for each, _ in written}
        for _, kind in written:
            metrics.STORED_AGAIN.labels(kind).inc()
        return {each: "stored" for each, _ in written}

    def _records(self, wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, Message | None]]:
        """Each record; None where Kafka has it no more."""
        ordered = sorted(wanted)
        if not ordered:
            return
        consumer = Consumer(
            {
                **self._settings.kafka_connection,
                "client.id": f"{self._settings.consumer_member}-again",
                # It joins no group, and commits nothing.
                "group.id": self._settings.consumer_group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 8_192,
                "fetch.message.max.bytes": 4_194_304,
            },
            logger=logger,
        )
        try:
            for place, group in itertools.groupby(ordered, key=lambda each: each[:2]):
                for run in _runs([offset for _, _, offset in group]):
                    yield from _run(consumer, place, run)
        finally:
            consumer.close()

    def _answer(self, request: Request) -> Answer:
        if request.method != "POST":
            return as_json({"error": "POST records"}, HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            wanted = _wanted(request.body)
        except (ValueError, TypeError, KeyError) as malformed:
            return as_json({"error": f"not a list of records: {malformed}"}, HTTPStatus.BAD_REQUEST)
        try:
            return as_json({"outcomes": self.store(wanted)})
        except (KafkaException, OSError) as error:
            logger.warning("records are not stored again: %s", error)
            return as_json({"error": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE)


def _wanted(body: bytes) -> list[Wanted]:
    """The records of a request. Raises ValueError, TypeError or KeyError."""
    found = [(str(topic), int(partition), int(offset)) for topic, partition, offset in json.loads(body)["records"]]
    if len(found) > MOST_RECORDS or any(min(partition, offset) < 0 for _, partition, offset in found):
        raise ValueError(f"at most {MOST_RECORDS} records, each with a partition and an offset")
    return found


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    """Sorted offsets in pieces that are worth reading in one go."""
    run: list[int] = []
    for offset in offsets:
        if run and offset - run[-1] > NEAR:
            yield run
            run = []
        run.append(offset)
    yield run


def _run(consumer: Consumer, place: Place, offsets: list[int]) -> Iterator[tuple[Wanted, Message | None]]:
    left = list(offsets)
    consumer.assign([TopicPartition(*place, left[0])])
    while left:
        message = consumer.poll(ANSWER_SECONDS)
        if message is None:
            raise TimeoutError(f"Kafka has sent nothing of {place[0]}[{place[1]}] for {ANSWER_SECONDS:.0f} s")
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise KafkaException(error)
        at = message.offset()
        assert at is not None
        while left and (error is not None or left[0] < at):
            yield (*place, left.pop(0)), None
        if left and left[0] == at:
            yield (*place, left.pop(0)), message
    consumer.unassign()
