"""The progress of each model: committed offsets of its Kafka consumer group (docs/adr/0004-progress-in-kafka.md).

Spark keeps its progress in a checkpoint directory and commits nothing. Here the checkpoint is temporary: each start
reads the groups' offsets and each finished batch commits them, so a driver needs no disk and Kafka tools see the lag.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from confluent_kafka import Consumer, KafkaException, TopicPartition

from apps.service.coordinator import once_taken_over
from apps.spark_jobs.spec import Offsets

logger = logging.getLogger(__name__)


class ProgressError(RuntimeError):
    """Kafka did not give the offsets to start from."""


@dataclass(frozen=True)
class Start:
    """A model's first offsets, the number of records that retention removed unread, and the number that are unread."""

    offsets: Offsets
    expired: int
    waiting: int


@dataclass(frozen=True)
class CommonStart:
    """Where an application starts, from the start of each of its models by name."""

    models: Mapping[str, Start]

    @cached_property
    def offsets(self) -> Offsets:
        """The smallest offset of any model in each partition."""
        lowest: Offsets = {}
        for start in self.models.values():
            for partition, offset in start.offsets.items():
                lowest[partition] = min(offset, lowest.get(partition, offset))
        return lowest

    @cached_property
    def answered(self) -> dict[str, Offsets]:
        """By model and partition, the offset below which the model has answered what the application reads again.

        Only partitions in which the models differ are in it. They differ until the first batch has ended.
        """
        return {
            model: {
                partition: offset for partition, offset in start.offsets.items() if offset > self.offsets[partition]
            }
            for model, start in self.models.items()
        }

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


def common_start(watermarks: Mapping[int, tuple[int, int]], committed: Mapping[str, Mapping[int, int]]) -> CommonStart:
    """The start of each model from its group's committed offsets.

    A model whose group has no commit at all starts where the others do. It is new here, and what Kafka keeps of the
    last hours would hold up the others: they share one stream.
    """
    known = {model: starting_offsets(watermarks, offsets) for model, offsets in committed.items() if offsets}
    together = CommonStart(known).offsets
    return CommonStart(
        {model: known.get(model) or starting_offsets(watermarks, together) for model in committed},
    )


def later(offsets: Offsets, answered: Offsets) -> Offsets:
    """The offsets that a model has reached when the application has reached `offsets`."""
    return {partition: max(offset, answered.get(partition, offset)) for partition, offset in offsets.items()}


def offsets_of(described: Mapping[str, Mapping[str, int]] | None, topic: str) -> Offsets:
    """The offsets of one topic, from those that Spark reports for a source."""
    return {int(partition): offset for partition, offset in ((described or {}).get(topic) or {}).items()}


def span(start: Offsets, end: Offsets) -> int:
    """The number of records from `start` to `end`, over the partitions that both have."""
    return sum(max(0, offset - start[partition]) for partition, offset in end.items() if partition in start)


class Progress:
    """The progress of an application's models on one topic, each in a consumer group of its own."""

    def __init__(self, connection: Mapping[str, str], groups: Mapping[str, str], topic: str) -> None:
        """`connection` are librdkafka's settings that reach the brokers, `groups` the models' groups, by model."""
        self._groups = {model: GroupProgress(connection, group, topic) for model, group in groups.items()}
        self.started = CommonStart({})

    def start(self) -> CommonStart:
        """Read from Kafka where to start. Raises ProgressError if it does not answer."""
        watermarks = next(iter(self._groups.values())).watermarks()
        committed = {model: group.committed(sorted(watermarks)) for model, group in self._groups.items()}
        self.started = common_start(watermarks, committed)
        return self.started

    def reached(self, model: str, offsets: Offsets) -> Offsets:
        """The offsets that a model has reached when the application has reached `offsets`."""
        return later(offsets, self.started.answered.get(model, {}))

    def commit(self, offsets: Offsets) -> None:
        """Commit what each model has reached. A group's offsets do not go back while its model waits for others."""
        for model, group in self._groups.items():
            group.commit(self.reached(model, offsets))

    def close(self) -> None:
        """Close the connections to Kafka."""
        for group in self._groups.values():
            group.close()


class GroupProgress:
    """One consumer group's offsets on one topic. The group has no members: it commits without subscribing."""

    def __init__(self, connection: Mapping[str, str], group: str, topic: str, *, timeout: float = 30.0) -> None:
        self._group, self._topic, self._timeout = group, topic, timeout
        self._committed: Offsets = {}
        self._consumer = Consumer(
            {
                **connection,
                "group.id": group,
                "client.id": f"{group}-progress",
                "enable.auto.commit": False,
                "allow.auto.create.topics": False,
                "topic.metadata.refresh.interval.ms": 300_000,
            },
            logger=logger,
        )

    def watermarks(self) -> dict[int, tuple[int, int]]:
        """The topic's earliest and next offset, by partition. Raises ProgressError if Kafka does not answer."""
        try:
            return {
                partition: self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), timeout=self._timeout, cached=False
                )
                for partition in self._partitions()
            }
        except KafkaException as error:
            raise ProgressError(f"no offsets of {self._topic!r}: {error}") from error

    def committed(self, partitions: Iterable[int]) -> Offsets:
        """The group's committed offsets in these partitions. Raises ProgressError if Kafka does not answer."""
        try:
            asked = [TopicPartition(self._topic, partition) for partition in partitions]
            stored = once_taken_over(lambda: self._consumer.committed(asked, timeout=self._timeout), self._timeout)
        except KafkaException as error:
            raise ProgressError(f"no offsets of {self._topic!r} for group {self._group!r}: {error}") from error
        self._committed = {found.partition: found.offset for found in stored if found.offset >= 0}
        return dict(self._committed)

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
