"""Stores Kafka's records on disk: consume, write, make durable, commit, in that order."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from apps.consumer import metrics
from apps.consumer.clocks import BrokersClock
from apps.consumer.records import Kind, RejectedError, StoredFile, frame_file, result_file
from apps.consumer.retention import oldest_kept
from apps.consumer.settings import Settings
from apps.consumer.storage import DiskStore, is_full
from apps.messages import taken_by_kafka
from apps.service.health import Health, healthy, poll_health
from apps.service.received import headers_of

POLL_SECONDS = 0.5
COMMIT_RETRY_SECONDS = 1.0
FINAL_COMMIT_ATTEMPTS = 3
ROOM_RETRY_SECONDS = 5.0
"""How long a full disk is left alone before it is tried again."""

Place = tuple[str, int]
"""A topic and a partition."""

logger = logging.getLogger(__name__)


def kafka_config(settings: Settings) -> dict[str, str | int | bool]:
    """librdkafka's configuration.

    With equal partition counts, `range` assigns a camera's frames and results to the same member, and a static member
    keeps its partitions over a restart, so a camera's files stay together.

    Records are stored and committed once a second, so nobody waits for one of them: a broker collects records for a
    second before it answers, instead of answering for each.
    """
    return {
        **settings.kafka_connection,
        "client.id": settings.consumer_member,
        "group.id": settings.consumer_group,
        "group.instance.id": settings.consumer_member,
        "partition.assignment.strategy": "range",
        "session.timeout.ms": 30_000,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": 30_000,
        "queued.max.messages.kbytes": 16_384,
        "queued.min.messages": 1_000,
        "fetch.message.max.bytes": 4_194_304,
        "fetch.wait.max.ms": 1_000,
        "fetch.min.bytes": 1_048_576,
    }


class Ingest:
    """The loop. After `stop`, `run` makes all read records durable, commits them and returns.

    Where the disk is full and no older hour can go, the partitions whose records do not fit are paused: the member
    stays in the group, and stores what it holds. Some seconds later they are read again from those records on.
    """

    def __init__(
        self,
        settings: Settings,
        store: DiskStore,
        make_room: Callable[[], bool],
        brokers_clock: BrokersClock | None = None,
    ) -> None:
        """`make_room` is called when the disk is full and returns whether it removed anything.

        `brokers_clock` is told the time of each record that has one from its broker.
        """
        self._settings = settings
        self._brokers_clock = brokers_clock or BrokersClock()
        self._store = store
        self._make_room = make_room
        self._consumer = Consumer(kafka_config(settings), logger=logger)
        self._written: list[tuple[Kind, datetime, int]] = []
        """For the metrics: kind, capture time and size in bytes of each file of this batch."""
        self._offsets: dict[Place, int] = {}
        self._begun: dict[Place, int] = {}
        """The first record of this batch, by partition."""
        self._waiting: dict[Place, int] = {}
        """The first record that waits for room, by partition."""
        self._full = False
        self._try_at = 0.0
        self._records = 0
        self._retry_at = 0.0
        self._polled_at = time.monotonic()
        self._joined = False
        self._stop = threading.Event()

    def health(self) -> Health:
        """Whether the loop keeps polling Kafka."""
        return poll_health(time.monotonic() - self._polled_at)

    def readiness(self) -> Health:
        """Whether the group has assigned this member its partitions (none, if members outnumber partitions)."""
        return healthy(self._joined, "joined\n" if self._joined else "not in the group\n")

    def stop(self) -> None:
        """Tell `run` to finish its batch and return."""
        self._stop.set()

    def run(self) -> None:
        """Consume until `stop`."""
        self._consumer.subscribe(
            [self._settings.frames_topic, *self._settings.results_topics],
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )
        try:
            self._loop()
        finally:
            self._consumer.close()

    def _loop(self) -> None:
        deadline = time.monotonic() + self._settings.batch_seconds
        while not self._stop.is_set():
            wait = min(POLL_SECONDS, max(0.0, deadline - time.monotonic()))
            # One at a time: a batch could contain records of partitions that were revoked while it was collected.
            message = self._consumer.poll(wait)
            if message is not None:
                self._handle(message)
            self._polled_at = time.monotonic()
            if self._waiting and self._polled_at >= self._try_at:
                self._read_on()
            if time.monotonic() >= deadline or self._records >= self._settings.batch_records:
                self._finish_batch()
                deadline = time.monotonic() + self._settings.batch_seconds
        for _ in range(FINAL_COMMIT_ATTEMPTS):
            self._finish_batch(retry=True)
            if not self._offsets:
                return
            time.sleep(COMMIT_RETRY_SECONDS)
        logger.warning("stopping without the last commit: Kafka will deliver those records again, to the same files")

    def _handle(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            # For example fenced, after a broker died with the group's state. The client never recovers, but a new
            # process does. An error delivered as a record has the code but not the flag.
            if error.fatal() or error.code() == KafkaError._FATAL:
                raise KafkaException(error)
            if error.code() != KafkaError._PARTITION_EOF:
                logger.warning("Kafka: %s", error)
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None and partition is not None and offset is not None
        place = topic, partition
        if place in self._waiting:
            return  # fetched before the pause: it is read again
        self._begun.setdefault(place, offset)
        taken_at = taken_by_kafka(message.timestamp())
        if taken_at is not None:
            self._brokers_clock.told(taken_at)
        try:
            self._write(file_of(topic == self._settings.frames_topic, message, taken_at))
        except RejectedError as rejected:
            metrics.REJECTED.labels(rejected.reason).inc()
            logger.warning("skipped %s[%d]@%d: %s", topic, partition, offset, rejected)
        except OSError as refused:
            if not is_full(refused):
                raise
            self._wait_for_room({place: offset}, refused)
            return
        self._offsets[place] = offset + 1
        self._records += 1

    def _write(self, file: StoredFile) -> None:
        now = self._brokers_clock.earlier(datetime.now(UTC))
        if file.hour < oldest_kept(now, self._settings.retention_hours):
            metrics.EXPIRED.inc()
            return
        while True:
            try:
                self._store.write(file)
                break
            except OSError as error:
                if not is_full(error) or not self._make_room():
                    raise
        self._written.append((file.kind, file.captured_at, len(file.data)))

    def _wait_for_room(self, records: Mapping[Place, int], error: OSError) -> None:
        """Pause these partitions, to read them again from these records on."""
        if not self._full:
            logger.warning(
                "the disk is full, and no older hour can go: nothing is stored until there is room (%s)", error
            )
        self._full = True
        metrics.DISK_FULL.set(1)
        self._try_at = time.monotonic() + ROOM_RETRY_SECONDS
        for place, offset in records.items():
            self._waiting[place] = min(offset, self._waiting.get(place, offset))
            self._consumer.pause([TopicPartition(*place)])

    def _read_on(self) -> None:
        """Read the paused partitions from the records that did not fit.

        What is held is stored first: only a record that fits from here on says that the disk has room again.
        """
        self._finish_batch()
        waiting, self._waiting = self._waiting, {}
        for place, offset in waiting.items():
            self._consumer.resume([TopicPartition(*place)])
            self._consumer.seek(TopicPartition(*place, offset))

    def _flush(self) -> bool:
        """Make the batch durable. Returns whether it is; if the disk is full, all of it is read again."""
        begun, self._begun = self._begun, {}
        try:
            self._store.flush()
        except OSError as error:
            if not is_full(error):
                raise
            self._make_room()
            self._offsets.update(begun)
            self._wait_for_room(begun, error)
            return False
        if self._full and self._written and not self._waiting:
            logger.info("the disk has room again")
            self._full = False
            metrics.DISK_FULL.set(0)
        return True

    def _finish_batch(self, *, retry: bool = False) -> None:
        """Make the batch durable and commit it; soon after a failed commit only with `retry`."""
        if not self._flush():
            self._written.clear()
        now = datetime.now(UTC)
        for kind, captured_at, size in self._written:
            metrics.STORED.labels(kind).inc()
            metrics.STORED_BYTES.labels(kind).inc(size)
            if kind == "frame":
                metrics.FRAME_AGE.observe(max(0.0, (now - captured_at).total_seconds()))
        self._written.clear()
        self._records = 0
        if self._offsets and (retry or time.monotonic() >= self._retry_at):
            self._commit()

    def _commit(self) -> None:
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._offsets.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            metrics.COMMIT_FAILURES.inc()
            self._retry_at = time.monotonic() + COMMIT_RETRY_SECONDS
            logger.warning("could not commit, will try again: %s", error)
            return
        refused = [answer for answer in answers or () if answer.error is not None]
        if refused:
            metrics.COMMIT_FAILURES.inc()
            logger.warning("Kafka refused the commit of %s", refused)
        self._offsets.clear()

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        logger.info("assigned %d partitions", len(partitions))
        metrics.ASSIGNED_PARTITIONS.set(len(partitions))
        self._joined = True

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        logger.info("giving back %d partitions", len(partitions))
        self._finish_batch(retry=True)
        self._forget_partitions()

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        logger.warning("lost %d partitions, so their last batch is not committed", len(partitions))
        self._forget_partitions()

    def _forget_partitions(self) -> None:
        for place in self._waiting:
            # Whoever is given it next, and be it this member, reads it from what is committed.
            with contextlib.suppress(KafkaException):
                self._consumer.resume([TopicPartition(*place)])
        self._waiting.clear()
        self._begun.clear()
        self._offsets.clear()
        metrics.ASSIGNED_PARTITIONS.set(0)
        self._joined = False


def file_of(is_frame: bool, message: Message, taken_at: datetime | None) -> StoredFile:
    """The file for a record of the frames topic or of a results topic. Raises RejectedError."""
    now = datetime.now(UTC)
    if not is_frame:
        return result_file(message.value(), now, taken_at)
    return frame_file(message.key(), message.value(), headers_of(message), now, taken_at)
