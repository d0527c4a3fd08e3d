"""The model jobs on a real Kafka: results and rejected records are exactly those of the frames sent."""

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from apps.messages import OVERLOAD, STILL, frame_headers, result_from_json
from tests.integration.spark.driver import Driver, driver
from tests.integration.topics import (
    KAFKA_LIMIT_S,
    Topics,
    committed,
    create,
    create_topics,
    ends,
    frame_times,
    make_frame,
    producer,
    send_frame,
)

CAMERAS = tuple(f"camera-{number}" for number in range(8))
STARTED = datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Job:
    """One model, its test's topics, and the frames sent so far."""

    topics: Topics
    model: str
    kind: str
    rejected: str
    sent: set[tuple[str, int]]
    spoiled: set[tuple[str, int]]

    @property
    def settings(self) -> dict[str, object]:
        return {
            "kafka_bootstrap_servers": self.topics.bootstrap,
            "model_name": self.model,
            "model_kind": self.kind,
            "frames_topic": self.topics.frames,
            "results_topic": f"results.{self.model}",
            "rejected_topic": self.rejected,
            "consumer_group": f"spark.{self.model}",
            "cores_per_executor": 2,
            "trigger_seconds": 0.5,
            "max_offsets_per_task": 20,
            "weights": "/opt/argus/weights/scenes",
        }

    @property
    def further(self) -> dict[str, object]:
        """The model as a further one of another's application."""
        names = ("model_name", "model_kind", "results_topic", "consumer_group", "weights")
        return {name: self.settings[name] for name in names}

    def lag(self) -> int:
        done = committed(self.topics, f"spark.{self.model}")
        return sum(end - done[at] for at, end in ends(self.topics).items() if at[0] == self.topics.frames)


def create_job(kafka: str, kind: str, *, senders_times: bool = False) -> Job:
    suffix = uuid.uuid4().hex[:8]
    topics = create_topics(kafka, suffix=suffix, models=[kind], partitions=4, senders_times=senders_times)
    rejected = f"rejected-{suffix}"
    admin = AdminClient({"bootstrap.servers": kafka})  # Must outlive its futures.
    create(admin, [NewTopic(rejected, 4, 1)])
    return Job(topics, topics.models[0], kind, rejected, set(), set())


@pytest.fixture(params=["objects", "motion"])
def job(request: pytest.FixtureRequest, kafka: str) -> Job:
    return create_job(kafka, request.param)


def send(job: Job, sequences: range, *, still: bool = False, seconds_ago: float = 0) -> None:
    """Send one frame of every camera for every sequence; every tenth has a corrupt JPEG. `still`: nothing moves."""
    sent_at = round(1000 * (time.time() - seconds_ago))
    to = producer(job.topics.bootstrap)
    for sequence in sequences:
        for number, camera in enumerate(CAMERAS):
            jpeg = picture(0 if still else sequence)
            if (sequence + number) % 10 == 0:
                jpeg = (jpeg[: len(jpeg) // 2], b"no picture at all", b"\xff\xd8\xff\xd9")[number % 3]
                job.spoiled.add((camera, sequence))
            job.sent.add((camera, sequence))
            frame = make_frame(camera, sequence, STARTED + timedelta(seconds=sequence), jpeg)
            to.produce(job.topics.frames, key=camera, value=jpeg, headers=frame_headers(frame), timestamp=sent_at)
    assert to.flush(30) == 0


def picture(sequence: int) -> bytes:
    image = np.full((360, 640, 3), 90, np.uint8)
    cv2.rectangle(image, (20 + sequence * 7 % 500, 100), (90 + sequence * 7 % 500, 220), (30, 30, 220), -1)
    return cv2.imencode(".jpg", image)[1].tobytes()


def records(job: Job, topic: str) -> Iterator[tuple[TopicPartition, bytes, bytes, dict[str, bytes]]]:
    """All records of a topic."""
    consumer = Consumer({"bootstrap.servers": job.topics.bootstrap, "group.id": "none", "enable.auto.commit": False})
    try:
        partitions = [
            TopicPartition(topic, number, 0) for number in consumer.list_topics(topic).topics[topic].partitions
        ]
        left = sum(consumer.get_watermark_offsets(at, timeout=10)[1] for at in partitions)
        consumer.assign(partitions)
        while left:
            message = consumer.poll(10)
            assert message is not None, f"{left} records of {topic} did not come"
            assert message.error() is None
            left -= 1
            at = TopicPartition(topic, message.partition(), message.offset())
            yield at, message.key(), message.value(), dict(message.headers() or [])
    finally:
        consumer.close()


def frame_partitions(job: Job) -> dict[tuple[str, int], int]:
    return {
        (key.decode(), int(headers["sequence"])): at.partition
        for at, key, _, headers in records(job, job.topics.frames)
    }


def check_every_frame_has_its_answer(job: Job) -> Counter[tuple[str, int]]:
    """Results and rejected records together are exactly the frames; a result is in its frame's partition."""
    partitions, answers = frame_partitions(job), Counter[tuple[str, int]]()
    for at, key, value, _ in records(job, f"results.{job.model}"):
        result = result_from_json(value)
        identity = (result.camera, result.sequence)
        assert key.decode() == result.id
        assert at.partition == partitions[identity]
        assert (result.width, result.height) == (640, 360)
        answers[identity] += 1
    rejected = set()
    for _, key, _, headers in records(job, job.rejected):
        assert headers["reason"]
        assert headers["model"] == job.model.encode()
        rejected.add((key.decode(), int(headers["sequence"])))
    assert set(answers) == job.sent - job.spoiled
    assert rejected == job.spoiled
    return answers


def wait_until_done(job: Job, running: Driver) -> None:
    running.wait_until("the group to reach the log's end", lambda: job.lag() == 0)


def test_a_driver_killed_in_the_middle_loses_nothing(job: Job) -> None:
    send(job, range(1, 31))
    with driver(**job.settings) as first:
        first.wait_until("a finished batch", lambda: first.metric("batches_total") >= 2)
        first.kill()
    behind = job.lag()
    assert 0 < behind < len(job.sent), "it was killed in the middle"
    send(job, range(31, 41))
    with driver(**job.settings) as second:
        wait_until_done(job, second)
        assert second.metric("rejected_total") > 0
        assert second.metric("expired_total") == 0
        assert second.stop() == 0
    answers = check_every_frame_has_its_answer(job)
    again = sum(answers.values()) - len(answers)
    assert again <= 2 * 40, "no more than the batches that were not committed was done again"


@pytest.mark.parametrize("job", ["objects"], indirect=True)
def test_still_frames_carry_detections_and_are_counted(job: Job) -> None:
    send(job, range(1, 21), still=True)
    with driver(**job.settings, gate_seconds=5, ungated_cameras=f'["{CAMERAS[0]}"]') as running:
        wait_until_done(job, running)
        counted = {name: running.metric(f"{name}_total") for name in ("frames_looked", "frames_carried", "rejected")}
        assert running.stop() == 0
    check_every_frame_has_its_answer(job)
    results = {
        (result.camera, result.sequence): result
        for result in (result_from_json(value) for _, _, value, _ in records(job, f"results.{job.model}"))
    }
    carried = {identity: result.skipped for identity, result in results.items() if result.skipped is not None}
    assert counted == {
        "frames_looked": len(results) - len(carried),
        "frames_carried": len(carried),
        "rejected": len(job.spoiled),
    }
    assert {camera for camera, _ in carried} == set(CAMERAS[1:])
    for (camera, sequence), skipped in carried.items():
        assert skipped.reason == STILL and skipped.carried_from is not None
        assert 0 < sequence - skipped.carried_from < 5
        source = results[camera, skipped.carried_from]
        assert source.skipped is None
        assert results[camera, sequence].detections == source.detections


@pytest.mark.full
def test_a_backlog_is_thinned_and_what_was_left_out_is_counted(kafka: str) -> None:
    # The senders' times stand for a delay that would take a minute.
    job = create_job(kafka, "objects", senders_times=True)
    send(job, range(1, 41), seconds_ago=60)
    with driver(**job.settings, overload_seconds=10) as running:
        wait_until_done(job, running)
        counted = {name: running.metric(f"{name}_total") for name in ("frames_looked", "frames_thinned", "rejected")}
        send(job, range(41, 43))
        wait_until_done(job, running)
        afterwards = running.metric("frames_thinned_total")
        assert running.stop() == 0
    results = [result_from_json(value) for _, _, value, _ in records(job, f"results.{job.model}")]
    rejected = [(key.decode(), int(headers["sequence"])) for _, key, _, headers in records(job, job.rejected)]
    answered = [*((result.camera, result.sequence) for result in results), *rejected]
    assert Counter(answered) == Counter(job.sent)
    late = [result for result in results if result.sequence <= 40]
    left_out = [result for result in late if result.skipped is not None]
    assert counted == {
        "frames_looked": len(late) - len(left_out),
        "frames_thinned": len(left_out),
        "rejected": len([identity for identity in rejected if identity[1] <= 40]),
    }
    assert {result.skipped.reason for result in left_out if result.skipped} == {OVERLOAD}
    assert not any(result.detections for result in left_out)
    looked = Counter(camera for camera, sequence in answered if sequence <= 40)
    looked.subtract(result.camera for result in left_out)
    assert all(1 <= looked[camera] <= 15 for camera in CAMERAS), f"about a tenth of 40 of each: {looked}"
    assert afterwards == counted["frames_thinned"], "a frame that was not late was left out"


@pytest.mark.parametrize("job", ["motion"], indirect=True)
def test_a_result_has_the_time_at_which_kafka_took_a_frame_of_a_wrong_clock(job: Job) -> None:
    days = {"ahead": 400, "behind": -400, "right": 0}
    to = producer(job.topics.bootstrap)
    for camera, ahead in days.items():
        frame = make_frame(camera, 1, STARTED + timedelta(days=ahead), picture(1))
        send_frame(to, job.topics, frame)
    assert to.flush(30) == 0
    taken = frame_times(job.topics)
    with driver(**job.settings) as running:
        wait_until_done(job, running)
        assert running.stop() == 0
    results = [result_from_json(value) for _, _, value, _ in records(job, f"results.{job.model}")]
    assert {(result.camera, result.captured_at) for result in results} == {
        ("ahead", taken["ahead", 1]),
        ("behind", taken["behind", 1]),
        ("right", STARTED),
    }


@pytest.mark.parametrize("job", ["motion"], indirect=True)
def test_what_kafka_would_refuse_with_more_headers_is_cut_and_set_aside(job: Job) -> None:
    largest = 900_000  # The broker's limit for a record is 2,000,000.
    to = producer(job.topics.bootstrap)
    to.produce(job.topics.frames, key=b"k" * largest, value=b"v" * largest, headers=[("note", b"n" * 100_000)])
    to.produce(job.topics.frames, key="../../etc", value=picture(1), headers=[("sequence", b"9" * 5000)])
    assert to.flush(30) == 0
    with driver(**job.settings) as running:
        wait_until_done(job, running)
        assert running.metric("rejected_total") == 2
        assert running.stop() == 0
    large, named = sorted(records(job, job.rejected), key=lambda record: len(record[1]), reverse=True)
    assert large[3]["truncated_key"] == str(largest).encode() and large[3]["truncated_headers"]
    assert large[1] == b"k" * len(large[1])
    assert named[1] == b"../../etc" and b"name" in named[3]["reason"]


@pytest.mark.parametrize("job", ["motion"], indirect=True)
def test_a_stop_finishes_the_batch_and_new_partitions_are_read(job: Job) -> None:
    send(job, range(1, 4))
    with driver(**job.settings) as running:
        wait_until_done(job, running)
        admin = AdminClient({"bootstrap.servers": job.topics.bootstrap})
        for future in admin.create_partitions([NewPartitions(name, 8) for name in job.topics.all]).values():
            future.result(timeout=KAFKA_LIMIT_S)
        running.wait_until("the new partitions to be there", lambda: len(ends(job.topics)) == 16, seconds=60)
        send(job, range(4, 12))
        wait_until_done(job, running)
        assert running.stop() == 0
    answers = check_every_frame_has_its_answer(job)
    assert set(answers.values()) == {1}
    assert len(set(frame_partitions(job).values())) > 4


@pytest.mark.parametrize("job", ["motion"], indirect=True)
def test_what_retention_removed_is_counted_and_the_stream_goes_on(job: Job) -> None:
    send(job, range(1, 4))
    with driver(**job.settings) as first:
        wait_until_done(job, first)
        first.kill()
    send(job, range(4, 8))
    gone = [
        TopicPartition(job.topics.frames, at[1], end)
        for at, end in ends(job.topics).items()
        if at[0] == job.topics.frames
    ]
    behind = job.lag()
    admin = AdminClient({"bootstrap.servers": job.topics.bootstrap})  # Must outlive its futures.
    for future in admin.delete_records(gone).values():
        future.result(timeout=KAFKA_LIMIT_S)
    job.sent.clear()
    job.spoiled.clear()
    send(job, range(8, 11))
    with driver(**job.settings) as second:
        wait_until_done(job, second)
        assert second.metric("expired_total") == behind


@pytest.mark.full
@pytest.mark.parametrize("job", ["motion"], indirect=True)
def test_executors_come_with_the_lag_and_go_with_it(job: Job) -> None:
    scaling = {
        "cores_per_executor": 1,
        "maximum_executors": 2,
        # Any lag after a batch adds an executor, and one that is not needed for a moment is removed.
        "target_lag_seconds": 0.05,
        "cool_down_seconds": 3,
        "max_offsets_per_task": 8,
    }
    send(job, range(1, 61))
    # Spark's own cluster manager starts each executor as a separate process.
    with driver(master="local-cluster[2,1,256]", **{**job.settings, **scaling}) as running:
        running.wait_until("a second executor", lambda: running.metric("executors") == 2)
        wait_until_done(job, running)
        running.wait_until("one executor", lambda: running.metric("executors") == 1)
        send(job, range(61, 63))
        wait_until_done(job, running)
        assert running.stop() == 0
    check_every_frame_has_its_answer(job)


def test_a_wrong_model_is_refused_with_a_reason(kafka: str) -> None:
    settings = {
        "kafka_bootstrap_servers": kafka,
        "model_name": "objects",
        "model_kind": "objects",
        "results_topic": "results.objects",
        "consumer_group": "spark.objects",
        "weights": "/opt/argus/apps",
    }
    with driver(**settings) as running:
        assert int(running.podman("wait", running.name)) == 1
        assert "/opt/argus/apps has no network" in running.podman("logs", running.name)
