"""Reads all partitions from Kafka for the wall, in a thread, without joining a group or committing."""

import logging
import threading
import time
from collections.abc import Iterable
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from apps.messages import UNREADABLE, FrameError, frame_from_kafka, result_from_json
from apps.messages.names import NAME
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

    A broker collects records for a fifth of a second before it answers, which nobody sees on the wall, instead of
    answering for each.
    """
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": "ui",
        "group.id": "ui",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "latest",
        "queued.max.messages.kbytes": 8_192,
        "queued.min.messages": 100,
        "fetch.message.max.bytes": 2_097_152,
        "fetch.wait.max.ms": 200,
        "fetch.min.bytes": 1_048_576,
    }


class Reader:
    """Adds records to a wall. It retries while Kafka is unavailable or topics are missing."""

    def __init__(self, settings: Settings, wall: Wall) -> None:
        self._frames_topic = settings.frames_topic
        self._topics = (settings.frames_topic, *settings.results_topics)
        self._wall = wall
        self._consumer = Consumer(kafka_config(settings), logger=logger)
        self._known: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self.polled_at = time.monotonic()

    @property
    def ready(self) -> bool:
        """Whether it reads the frames topic."""
        return any(topic == self._frames_topic for topic, _ in self._known)

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
                    self._take(message)
        finally:
            self._consumer.close()

    def _discover(self) -> bool:
        """Start reading new partitions. Returns whether every topic has some."""
        try:
            new = [
                TopicPartition(topic, partition)
                for topic, partition in self._partitions()
                if (topic, partition) not in self._known
            ]
            if new:
                self._consumer.incremental_assign(self._starts(new))
                self._known.update((at.topic, at.partition) for at in new)
                metrics.PARTITIONS.set(len(self._known))
                logger.info("reading %d more partitions, %d in all", len(new), len(self._known))
        except KafkaException as error:
            logger.warning("Kafka does not answer: %s", error)
            return False
        return {topic for topic, _ in self._known} >= set(self._topics)

    def _partitions(self) -> Iterable[tuple[str, int]]:
        found = self._consumer.list_topics(timeout=KAFKA_TIMEOUT_SECONDS).topics
        for topic in self._topics:
            for partition in sorted(found[topic].partitions) if topic in found else ():
                yield topic, partition

    def _starts(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        moment = int((time.time() - LOOK_BACK_SECONDS) * 1000)
        return self._consumer.offsets_for_times(
            [TopicPartition(at.topic, at.partition, moment) for at in partitions], timeout=KAFKA_TIMEOUT_SECONDS
        )

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                logger.warning("Kafka: %s", error)
            return
        kind = "frame" if message.topic() == self._frames_topic else "result"
        metrics.RECORDS.labels(kind).inc()
        try:
            if kind == "frame":
                self._take_frame(message)
            else:
                self._take_result(message)
        except UNREADABLE as malformed:
            metrics.MALFORMED.labels(kind).inc()
            logger.debug("skipped %s[%s]@%s: %s", message.topic(), message.partition(), message.offset(), malformed)

    def _take_frame(self, message: Message) -> None:
        headers = cast(list[tuple[str, bytes | None]] | None, message.headers())
        frame = frame_from_kafka(message.key(), message.value(), headers)
        if not NAME.fullmatch(frame.camera):
            raise FrameError(f"the camera name {frame.camera!r} is not of the form {NAME.pattern}")
        self._wall.add_frame(frame, time.monotonic())

    def _take_result(self, message: Message) -> None:
        result = result_from_json(message.value() or b"")
        if not NAME.fullmatch(result.camera):
            raise ValueError(f"the camera name {result.camera!r} is not of the form {NAME.pattern}")
        self._wall.add_result(result, time.monotonic())
