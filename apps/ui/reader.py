"""Reads all partitions from Kafka for the wall, in a thread, without joining a group or committing."""

import logging
import threading
import time
from datetime import datetime

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from apps.messages import (
    UNREADABLE,
    Frame,
    Result,
    frame_from_kafka,
    from_milliseconds,
    result_from_json,
    taken_by_kafka,
)
from apps.messages.names import NAME, UI_GROUP
from apps.service.received import headers_of
from apps.ui import metrics
from apps.ui.settings import Settings
from apps.ui.wall import Wall

LOOK_BACK_SECONDS = 15
"""The wall starts with the frames and results of the last seconds, so that it shows something at once."""

DISCOVERY_SECONDS = 30
FIRST_DISCOVERY_SECONDS = 2
KAFKA_TIMEOUT_SECONDS = 10
POLL_SECONDS = 0.5

logger = logging.getLogger(__name__)


def kafka_config(settings: Settings) -> dict[str, str | int | bool]:
    """librdkafka's configuration. It requires a group although none is joined here.

    A broker collects records for half a second before it answers, which nobody sees on the wall, instead of answering
    for each.
    """
    return {
        **settings.kafka_connection,
        "client.id": "ui",
        "group.id": UI_GROUP,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "latest",
        "queued.max.messages.kbytes": 8_192,
        "queued.min.messages": 100,
        "fetch.message.max.bytes": 2_097_152,
        "fetch.wait.max.ms": 500,
        "fetch.min.bytes": 1_048_576,
    }


class Reader:
    """Adds records to a wall. It retries while Kafka is unavailable or topics are missing."""

    def __init__(self, settings: Settings, wall: Wall) -> None:
        self._frames_topic = settings.frames_topic
        self._topics = (settings.frames_topic, *settings.results_topics)
        self._wall = wall
        self._consumer = Consumer(kafka_config(settings), logger=logger)
        self._assigned: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.polled_at = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether it reads the frames topic."""
        return any(topic == self._frames_topic for topic, _ in self._assigned)

    @property
    def poll_age(self) -> float:
        """Seconds since it last asked Kafka for records."""
        return time.monotonic() - self.polled_at

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it to end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        discover_at = 0.0
        try:
            while not self._stop.is_set():
                self.polled_at = time.monotonic()
                if time.monotonic() >= discover_at:
                    complete = self._discover()
                    discover_at = time.monotonic() + (DISCOVERY_SECONDS if complete else FIRST_DISCOVERY_SECONDS)
                message = self._consumer.poll(POLL_SECONDS)
                if message is not None:
                    self._handle(message)
        finally:
            self._consumer.close()

    def _discover(self) -> bool:
        """Start reading new partitions. Returns whether every topic has some."""
        try:
            new = self._partitions() - self._assigned
            if new:
                self._consumer.incremental_assign(self._start_offsets(new))
                self._assigned |= new
                metrics.PARTITIONS.set(len(self._assigned))
                logger.info("reading %d more partitions, %d in all", len(new), len(self._assigned))
        except KafkaException as error:
            logger.warning("Kafka does not answer: %s", error)
            return False
        return {topic for topic, _ in self._assigned} >= set(self._topics)

    def _partitions(self) -> set[tuple[str, int]]:
        found = self._consumer.list_topics(timeout=KAFKA_TIMEOUT_SECONDS).topics
        return {(topic, partition) for topic in self._topics if topic in found for partition in found[topic].partitions}

    def _start_offsets(self, partitions: set[tuple[str, int]]) -> list[TopicPartition]:
        moment = int((time.time() - LOOK_BACK_SECONDS) * 1000)
        return self._consumer.offsets_for_times(
            [TopicPartition(*partition, moment) for partition in sorted(partitions)], timeout=KAFKA_TIMEOUT_SECONDS
        )

    def _handle(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                logger.warning("Kafka: %s", error)
            return
        kind = "frame" if message.topic() == self._frames_topic else "result"
        metrics.RECORDS.labels(kind).inc()
        try:
            written_at = from_milliseconds(message.timestamp()[1])
            self._add(_parse(message, kind), written_at)
        except UNREADABLE as malformed:
            metrics.MALFORMED.labels(kind).inc()
            logger.debug("skipped %s[%s]@%s: %s", message.topic(), message.partition(), message.offset(), malformed)

    def _add(self, record: Frame | Result, written_at: datetime) -> None:
        if not NAME.fullmatch(record.camera):
            raise ValueError(f"the camera name {record.camera!r} is not of the form {NAME.pattern}")
        if isinstance(record, Frame):
            kind, shown = "frame", self._wall.add_frame(record, time.monotonic())
        else:
            kind, shown = "result", self._wall.add_result(record, time.monotonic(), written_at)
        if not shown:
            metrics.NOT_SHOWN.labels(kind).inc()


def _parse(message: Message, kind: str) -> Frame | Result:
    if kind == "result":
        return result_from_json(message.value() or b"")
    return frame_from_kafka(message.key(), message.value(), headers_of(message), taken_by_kafka(message.timestamp()))
