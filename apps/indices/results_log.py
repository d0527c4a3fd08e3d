"""The results in Kafka: which are there, which were shipped to the index, and which were stored on disk. And frames."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from apps.indices.identities import Slot
from apps.messages import FrameError, format_timestamp, frame_from_kafka, hour_of, parse_timestamp, taken_by_kafka
from apps.messages.frame import CLOCK_TOLERANCE
from apps.messages.names import COMPARISON_GROUP, CONSUMER_GROUP, FILEBEAT_GROUP
from apps.service.coordinator import once_taken_over
from apps.service.received import headers_of

Place = tuple[str, int]
"""Topic and partition."""

BATCH = 1_000
ANSWER_SECONDS = 30.0
QUIET_SECONDS = 120.0
"""Reading is given up when Kafka has sent nothing for this long."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The records from `starts` up to `ends`, as offsets by place."""

    starts: Mapping[Place, int]
    ends: Mapping[Place, int]
    shipped: Mapping[Place, int]
    """The offsets up to which Filebeat has shipped all records, or has given them up."""
    stored: Mapping[Place, int]
    """The offsets up to which the consumers have stored all records."""
    stored_frames: Mapping[Place, int]
    """The same of the frames topic."""
    since: datetime | None
    """The time of the last comparison that left nothing open; None if there was none."""
    expired: int
    """Records that Kafka deleted before they were compared."""


class ResultsLog:
    """Reads the results topics. No member of a group, so it takes no partition from anybody.

    What groups have committed is read by consumers that join nothing: an AdminClient that asks a broker which no longer
    coordinates the group ends the process (librdkafka 2.16).
    """

    def __init__(self, connection: Mapping[str, str], topics: Sequence[str], frames: str) -> None:
        """`connection` are librdkafka's settings that reach the brokers; `frames` is the frames topic."""
        self._topics, self._frames = topics, [frames]
        self._consumer = Consumer(
            {
                **connection,
                "group.id": COMPARISON_GROUP,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 8_192,
                "fetch.message.max.bytes": 1_048_576,
            },
            logger=logger,
        )
        self._groups = {COMPARISON_GROUP: self._consumer} | {
            group: Consumer({**connection, "group.id": group, "enable.auto.commit": False}, logger=logger)
            for group in (CONSUMER_GROUP, FILEBEAT_GROUP)
        }

    def close(self) -> None:
        """Close the connections."""
        for consumer in self._groups.values():
            consumer.close()

    def window(self, from_time: datetime | None = None) -> Window:
        """The records since the last comparison that left nothing open, or those of results since `from_time`.

        It begins no later than what was not shipped yet, so that each record that is on its way is in it. Raises
        KafkaException.
        """
        places = self._places(self._topics)
        compared = self._committed(COMPARISON_GROUP, places)
        # Before anything else is looked at, so that what is below these offsets must be found there.
        stored_frames = self._offsets(CONSUMER_GROUP, self._places(self._frames))
        stored, shipped = (self._offsets(group, places) for group in (CONSUMER_GROUP, FILEBEAT_GROUP))
        limits = {place: self._limits(place) for place in places}
        # The clocks of a frame and of Kafka may differ by this much.
        begun = (
            {place: at[0] for place, at in compared.items()}
            if from_time is None
            else self._offsets_at(from_time - CLOCK_TOLERANCE, places)
        )
        starts, ends, expired = {}, {}, 0
        for place in places:
            low, high = limits[place]
            start = min(begun.get(place, low), shipped[place], high)
            expired += max(0, low - start) if place in begun and from_time is None else 0
            starts[place], ends[place] = max(start, low), high
        times = [at for _, at in compared.values() if at is not None]
        return Window(
            starts=starts,
            ends=ends,
            shipped=shipped,
            stored=stored,
            stored_frames=stored_frames,
            since=from_time or min(times, default=None),
            expired=expired,
        )

    def ends(self) -> dict[Place, int]:
        """The offsets at which the topics end now. Raises KafkaException."""
        return {place: self._limits(place)[1] for place in self._places(self._topics)}

    def frames(self, since: datetime) -> Iterator[tuple[Place, int, Slot, int]]:
        """Place, offset, slot and sequence of each frame that was captured at `since` or later, and of some earlier.

        All of their pictures are read. Raises KafkaException or TimeoutError.
        """
        places = self._places(self._frames)
        ends = {place: self._limits(place)[1] for place in places}
        for place, offset, message in self._read(self._offsets_at(since - CLOCK_TOLERANCE, places), ends):
            try:
                frame = frame_from_kafka(
                    message.key(), message.value(), headers_of(message), taken_by_kafka(message.timestamp())
                )
            except FrameError:
                continue  # The consumers refuse and count it.
            yield place, offset, Slot(hour_of(frame.captured_at), frame.camera, ""), frame.sequence

    def records(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[tuple[Place, int, bytes]]:
        """Place, offset and value of each record from `starts` up to `ends`.

        Raises KafkaException, or TimeoutError where Kafka sends nothing any more.
        """
        for place, offset, message in self._read(starts, ends):
            yield place, offset, message.value() or b""

    def _read(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[tuple[Place, int, Message]]:
        left = {place: end for place, end in ends.items() if starts.get(place, 0) < end}
        self._consumer.assign([_partition(place, starts.get(place, 0)) for place in left])
        heard = time.monotonic()
        while left:
            messages = self._consumer.consume(BATCH, timeout=1.0)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > QUIET_SECONDS:
                raise TimeoutError(f"Kafka has sent nothing for {QUIET_SECONDS:.0f} s")
            for message in messages:
                place, offset = _place(message)
                # A partition is not paused behind its end: the pause would outlast this assignment.
                if place not in left:
                    continue
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                if error is None and offset < left[place]:
                    yield place, offset, message
                if error is not None or offset + 1 >= left[place]:
                    del left[place]
        self._consumer.unassign()

    def commit(self, offsets: Mapping[Place, int], at: datetime) -> None:
        """Record that everything up to these offsets is in the index or set aside. Raises KafkaException."""
        note = format_timestamp(at)
        commits = [TopicPartition(*place, offset, metadata=note) for place, offset in offsets.items()]
        if commits:
            once_taken_over(partial(self._commit, commits), ANSWER_SECONDS)

    def _commit(self, commits: list[TopicPartition]) -> None:
        for answer in self._consumer.commit(offsets=commits, asynchronous=False):
            if answer.error is not None:
                raise KafkaException(answer.error)

    def _limits(self, place: Place) -> tuple[int, int]:
        """The offsets of the first record and behind the last one."""
        low, high = self._consumer.get_watermark_offsets(_partition(place), timeout=ANSWER_SECONDS)
        return low, high

    def _places(self, topics: Sequence[str]) -> list[Place]:
        found = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        for topic in topics:
            if topic not in found or found[topic].error is not None:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"there is no topic {topic}"))
        return [(topic, partition) for topic in topics for partition in found[topic].partitions]

    def _offsets(self, group: str, places: Sequence[Place]) -> dict[Place, int]:
        committed = self._committed(group, places)
        return {place: committed[place][0] if place in committed else 0 for place in places}

    def _committed(self, group: str, places: Sequence[Place]) -> dict[Place, tuple[int, datetime | None]]:
        """The group's committed offset by place, and the time in its note; places without a commit are left out."""
        asked = [_partition(place) for place in places]
        committed = partial(self._groups[group].committed, asked, timeout=ANSWER_SECONDS)
        found = once_taken_over(committed, ANSWER_SECONDS)
        return {
            (each.topic, each.partition): (each.offset, _time_in(each.metadata)) for each in found if each.offset >= 0
        }

    def _offsets_at(self, moment: datetime, places: Sequence[Place]) -> dict[Place, int]:
        """The offset of the first record that Kafka took at `moment` or later; the end where there is none."""
        milliseconds = int(moment.timestamp() * 1000)
        asked = [_partition(place, milliseconds) for place in places]
        answers = self._consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS)
        ends = {place: self._limits(place)[1] for place in places}
        return {
            (each.topic, each.partition): each.offset if each.offset >= 0 else ends[each.topic, each.partition]
            for each in answers
        }


def _partition(place: Place, offset: int | None = None) -> TopicPartition:
    return TopicPartition(*place) if offset is None else TopicPartition(*place, offset)


def _place(message: Message) -> tuple[Place, int]:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    return (topic, partition), offset


def _time_in(note: str | None) -> datetime | None:
    try:
        return min(parse_timestamp(note), datetime.now(UTC)) if note else None
    except ValueError:
        return None
