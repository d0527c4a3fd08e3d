"""The job's progress: committed offsets of a Kafka consumer group (docs/adr/0004-progress-in-kafka.md).

Spark keeps its progress in a checkpoint directory and commits nothing. Here the checkpoint is temporary: each start
reads the group's offsets and each finished batch commits them, so a driver needs no disk and Kafka tools see the lag.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

logger = logging.getLogger(__name__)

Offsets = dict[int, int]
"""Next offset to read, by partition."""


class ProgressError(RuntimeError):
    """Kafka did not give the offsets to start from."""


@dataclass(frozen=True)
class Start:
    """The starting offsets, the number of records that retention removed unread, and the number that are unread."""

    offsets: Offsets
    expired: int
    waiting: int

    def to_spark(self, topic: str) -> str:
        """Spark's `startingOffsets`: every partition with its offset."""
        return json.dumps({topic: {str(partition): offset for partition, offset in sorted(self.offsets.items())}})


def starting_offsets(watermarks: Mapping[int, tuple[int, int]], committed: Mapping[int, int]) -> Start:
    """The start for every partition that exists, from its (low, high) watermark and the group's committed offset.

    Without a commit, it is the earliest record. With a commit below the log too, and the difference has expired. A
    commit above the log means that the topic was recreated or lost its tail: the earliest again, since processing a
    frame twice is harmless and missing one is not.
    """
    offsets, expired = {}, 0
    for partition, (low, high) in watermarks.items():
        offset = committed.get(partition, low)
        if offset < low:
            expired += low - offset
        offsets[partition] = offset if low <= offset <= high else low
    return Start(offsets, expired, span(offsets, {partition: high for partition, (_, high) in watermarks.items()}))


def offsets_of(described: Mapping[str, Mapping[str, int]] | None, topic: str) -> Offsets:
    """The offsets of one topic, from those that Spark reports for a source."""
    return {int(partition): offset for partition, offset in ((described or {}).get(topic) or {}).items()}


def span(start: Offsets, end: Offsets) -> int:
    """The number of records from `start` to `end`, over the partitions that both have."""
    return sum(max(0, offset - start[partition]) for partition, offset in end.items() if partition in start)


class GroupProgress:
    """One consumer group's offsets on one topic. The group has no members: it commits without subscribing."""

    def __init__(self, bootstrap_servers: str, group: str, topic: str, *, timeout: float = 30.0) -> None:
        self._group, self._topic, self._timeout = group, topic, timeout
        self._committed: Offsets = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group,
                "client.id": f"{group}-progress",
                "enable.auto.commit": False,
                "allow.auto.create.topics": False,
                "topic.metadata.refresh.interval.ms": 300_000,
            },
            logger=logger,
        )

    def start(self) -> Start:
        """Read from Kafka where to start. Raises ProgressError if it does not answer."""
        try:
            partitions = self._partitions()
            watermarks = {
                partition: self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), timeout=self._timeout, cached=False
                )
                for partition in partitions
            }
            stored = self._consumer.committed(
                [TopicPartition(self._topic, partition) for partition in partitions], timeout=self._timeout
            )
        except KafkaException as error:
            raise ProgressError(f"no offsets of {self._topic!r} for group {self._group!r}: {error}") from error
        self._committed = {found.partition: found.offset for found in stored if found.offset >= 0}
        return starting_offsets(watermarks, self._committed)

    def commit(self, offsets: Offsets) -> None:
        """Commit the changed offsets. A failure is only logged: the next batch commits these offsets or higher ones."""
        moved = {partition: offset for partition, offset in offsets.items() if self._committed.get(partition) != offset}
        if not moved:
            return
        positions = [TopicPartition(self._topic, partition, offset) for partition, offset in moved.items()]
        try:
            answers = self._consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            logger.warning("offsets of group %s not committed, the next batch will: %s", self._group, error)
            return
        refused = {answer.partition: answer.error for answer in answers if answer.error is not None}
        if refused:
            logger.warning("offsets of group %s not committed for %s", self._group, refused)
        self._committed |= {partition: offset for partition, offset in moved.items() if partition not in refused}

    def close(self) -> None:
        """Close the connection to Kafka."""
        self._consumer.close()

    def _partitions(self) -> list[int]:
        described = self._consumer.list_topics(self._topic, timeout=self._timeout).topics[self._topic]
        if described.error is not None or not described.partitions:
            raise ProgressError(f"the topic {self._topic!r} is not there: {described.error}")
        return sorted(described.partitions)
