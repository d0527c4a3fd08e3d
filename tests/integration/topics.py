"""Topics for each test, and records in the format of producers and models."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from apps.messages import (
    Detection,
    Frame,
    Result,
    frame_from_kafka,
    frame_headers,
    from_milliseconds,
    result_to_json,
)
from apps.messages.names import results_topic
from components.config.sections import Kafka as KafkaSection
from components.pipeline.topics import pipeline_topics

KAFKA_LIMIT_S = 120
TIMES = "message.timestamp.type"


@dataclass(frozen=True)
class Topics:
    """The names of one test's topics. `results` is `results.` and the model's name in this test."""

    bootstrap: str
    frames: str
    models: tuple[str, ...]

    @property
    def results(self) -> tuple[str, ...]:
        return tuple(results_topic(model) for model in self.models)

    @property
    def all(self) -> tuple[str, ...]:
        return (self.frames, *self.results)


def create_topics(
    bootstrap: str, *, suffix: str, models: Iterable[str], partitions: int, senders_times: bool = False
) -> Topics:
    """New topics, whose records have the times of the broker, as in a stack, or of their senders."""
    topics = Topics(bootstrap, f"frames-{suffix}", tuple(f"{model}-{suffix}" for model in models))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {} if senders_times else {TIMES: pipeline_topics(KafkaSection(), [])[0].settings[TIMES]}
    create(admin, [NewTopic(name, partitions, 1, config=config) for name in topics.all])
    return topics


def create(admin: AdminClient, topics: list[NewTopic]) -> None:
    """Create topics. The limit allows for a new broker on a busy disk, so that Kafka's own error is seen."""
    for future in admin.create_topics(topics, request_timeout=KAFKA_LIMIT_S).values():
        future.result(timeout=KAFKA_LIMIT_S + 10)


def producer(bootstrap: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "message.max.bytes": 2_000_000,
        }
    )


def make_frame(camera: str, sequence: int, at: datetime, jpeg: bytes, size: tuple[int, int] = (640, 360)) -> Frame:
    return Frame(camera=camera, sequence=sequence, captured_at=at, width=size[0], height=size[1], jpeg=jpeg)


def make_result(frame: Frame, model: str, detections: Iterable[Detection] = ()) -> Result:
    return Result(
        camera=frame.camera,
        sequence=frame.sequence,
        captured_at=frame.captured_at,
        width=frame.width,
        height=frame.height,
        model=model,
        model_version="test",
        processed_at=frame.captured_at,
        detections=tuple(detections),
    )


def send_frame(to: Producer, topics: Topics, frame: Frame) -> None:
    to.produce(
        topics.frames,
        key=frame.camera,
        value=frame.jpeg,
        headers=[*frame_headers(frame)],
        timestamp=int(frame.captured_at.timestamp() * 1000),
    )


def send_result(to: Producer, topics: Topics, result: Result, partition: int) -> None:
    to.produce(results_topic(result.model), key=result.id, value=result_to_json(result), partition=partition)


def frame_times(topics: Topics) -> dict[tuple[str, int], datetime]:
    """Kafka's time of each frame, by camera and sequence."""
    last = {partition: end for (topic, partition), end in ends(topics).items() if topic == topics.frames}
    consumer = Consumer({"bootstrap.servers": topics.bootstrap, "group.id": "none", "enable.auto.commit": False})
    found = {}
    try:
        consumer.assign([TopicPartition(topics.frames, partition, 0) for partition in last])
        for _ in range(sum(last.values())):
            record = consumer.poll(30)
            assert record is not None and record.error() is None
            # Received headers are a list of pairs; the client's type also has a dictionary, for sending.
            headers = cast(list[tuple[str, bytes | None]] | None, record.headers())
            frame = frame_from_kafka(record.key(), record.value(), headers)
            found[frame.camera, frame.sequence] = from_milliseconds(record.timestamp()[1])
    finally:
        consumer.close()
    return found


def ends(topics: Topics) -> dict[tuple[str, int], int]:
    """The end offsets by topic and partition."""
    return _offsets(topics, "none", lambda consumer, at: consumer.get_watermark_offsets(at, timeout=10)[1])


def committed(topics: Topics, group: str) -> dict[tuple[str, int], int]:
    """The group's committed offsets; 0 for none."""
    return _offsets(topics, group, lambda consumer, at: max(0, consumer.committed([at], timeout=10)[0].offset))


def _offsets(topics: Topics, group: str, ask) -> dict[tuple[str, int], int]:  # type: ignore[no-untyped-def]
    consumer = Consumer({"bootstrap.servers": topics.bootstrap, "group.id": group, "enable.auto.commit": False})
    try:
        found = consumer.list_topics(timeout=10).topics
        return {
            (topic, partition): ask(consumer, TopicPartition(topic, partition))
            for topic in topics.all
            for partition in found[topic].partitions
        }
    finally:
        consumer.close()
