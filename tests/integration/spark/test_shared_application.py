"""Two models in one Spark application, on a real Kafka: each frame has one answer of each, whoever ran where before."""

import uuid
from collections import Counter

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from apps.messages import result_from_json
from tests.environments import further_models
from tests.integration.spark.driver import driver
from tests.integration.spark.test_jobs import Job, frame_partitions, records, send, wait_until_done
from tests.integration.topics import create, create_topics


@pytest.fixture
def jobs(kafka: str) -> tuple[Job, Job]:
    """Two models of the same frames, and of the same topic for rejected ones."""
    suffix = uuid.uuid4().hex[:8]
    topics = create_topics(kafka, suffix=suffix, models=["objects", "motion"], partitions=4)
    admin = AdminClient({"bootstrap.servers": kafka})  # Must outlive its futures.
    create(admin, [NewTopic(f"rejected-{suffix}", 4, 1)])
    objects, motion = topics.models
    first = Job(topics, objects, "objects", f"rejected-{suffix}", set(), set())
    return first, Job(topics, motion, "motion", first.rejected, first.sent, first.spoiled)


def answers(job: Job) -> Counter[tuple[str, int]]:
    """How often the model answered each frame: by a result in the frame's partition, or by rejecting it."""
    partitions, found = frame_partitions(job), Counter[tuple[str, int]]()
    for at, key, value, _ in records(job, f"results.{job.model}"):
        result = result_from_json(value)
        identity = (result.camera, result.sequence)
        assert (key.decode(), result.model) == (result.id, job.model)
        assert at.partition == partitions[identity]
        assert identity not in job.spoiled
        found[identity] += 1
    for _, key, _, headers in records(job, job.rejected):
        if headers["model"] == job.model.encode():
            identity = (key.decode(), int(headers["sequence"]))
            assert identity in job.spoiled
            found[identity] += 1
    return found


@pytest.mark.full
def test_models_move_into_one_application_and_out_of_it(jobs: tuple[Job, Job]) -> None:
    objects, motion = jobs
    send(objects, range(1, 5))
    for job in jobs:
        # The second is ahead when they meet: it has answered frames that the application must read again.
        with driver(**job.settings) as alone:
            wait_until_done(job, alone)
            assert alone.stop() == 0
        send(objects, range(5, 9) if job is objects else range(9, 21))
    assert objects.lag() > motion.lag() > 0

    shared = {**objects.settings, "further_models": further_models(motion.further)}
    with driver(**shared) as together:
        for job in jobs:
            wait_until_done(job, together)
        # Each counts what it answered, not what the application read.
        together.wait_until("the count", lambda: together.metric("frames_total", objects.model) == 8 * 16)
        assert together.metric("frames_total", motion.model) == 8 * 12
        assert together.metric("rejected_total", motion.model) > 0
        assert together.metric("expired_total", motion.model) == 0
        assert together.metric("lag_records", motion.model) == 0
        assert together.stop() == 0
    for job in jobs:
        assert answers(job) == dict.fromkeys(objects.sent, 1), "each frame once, by each model"

    # Killed in the middle, the application goes on with both models where it was.
    send(objects, range(21, 51))
    with driver(**shared) as first:
        first.wait_until("a finished batch", lambda: first.metric("batches_total") >= 2)
        first.kill()
    with driver(**shared) as second:
        for job in jobs:
            wait_until_done(job, second)
        assert second.stop() == 0
    send(objects, range(51, 53))
    for job in jobs:
        with driver(**job.settings) as alone:
            wait_until_done(job, alone)
            assert alone.stop() == 0
        found = answers(job)
        assert found.keys() == objects.sent
        repeated = [sequence for (_, sequence), count in found.items() if count > 1]
        assert all(21 <= sequence <= 50 for sequence in repeated), "only what was not committed when it was killed"
