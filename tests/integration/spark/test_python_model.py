"""A user's own code on a real Kafka: a frame with a mistake is rejected with the reason, others have results."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from apps.messages import Result, frame_headers, result_from_json
from apps.model_api.loading import code_version
from tests.integration.services import CODE, MODELS
from tests.integration.spark.driver import driver
from tests.integration.spark.test_jobs import CAMERAS, Job, records, wait_until_done
from tests.integration.topics import create, create_topics, make_frame, producer

Identity = tuple[str, int]
STARTED = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
WHITE = (255, 255, 255)
MISTAKES = {
    (0, 0, 255): r"CallError: ValueError: red is not allowed \(model.py:\d+\)",
    (0, 255, 0): r"CallError: the call took more than 10 s \(callSeconds\) and was ended",
    (255, 0, 0): r"CallError: the call held \d+ MiB, more than 300 \(callMemoryMiB\), and was ended",
    (0, 0, 0): "CallError: the call ended its process: exit status 7",
}
"""A picture's colour (BGR), and the reason why the code has no answer for it."""


@pytest.fixture
def job(request: pytest.FixtureRequest, kafka: str) -> Job:
    suffix = uuid.uuid4().hex[:8]
    topics = create_topics(kafka, suffix=suffix, models=[request.param], partitions=4)
    admin = AdminClient({"bootstrap.servers": kafka})  # Must outlive its futures.
    create(admin, [NewTopic(f"rejected-{suffix}", 4, 1)])
    return Job(topics, topics.models[0], "python", f"rejected-{suffix}", set(), set())


def settings(job: Job, code: str) -> dict[str, object]:
    limits = {"call_seconds": 10, "call_memory_mib": 300, "max_offsets_per_task": 100}
    return {**job.settings, **limits, "code": f"/opt/argus/code/{code}"}


def send(job: Job, pictures: dict[Identity, bytes]) -> None:
    to = producer(job.topics.bootstrap)
    for (camera, sequence), jpeg in pictures.items():
        job.sent.add((camera, sequence))
        frame = make_frame(camera, sequence, STARTED + timedelta(seconds=sequence), jpeg)
        to.produce(job.topics.frames, key=camera, value=jpeg, headers=frame_headers(frame))
    assert to.flush(30) == 0


def picture(colour: tuple[int, int, int]) -> bytes:
    return cv2.imencode(".jpg", np.full((360, 640, 3), colour, np.uint8))[1].tobytes()


def results(job: Job) -> list[Result]:
    return [result_from_json(value) for _, _, value, _ in records(job, f"results.{job.model}")]


@pytest.mark.parametrize("job", ["faulty"], indirect=True)
def test_each_mistake_sets_its_frame_aside_and_every_other_frame_has_its_result(job: Job) -> None:
    # Only one camera fails at a time, so that failures in a row are too few to pause the code.
    colours = {
        (camera, sequence): [*MISTAKES][sequence % 4] if number == sequence % 8 else WHITE
        for sequence in range(1, 9)
        for number, camera in enumerate(CAMERAS)
    }
    pictures = {identity: picture(colour) for identity, colour in colours.items()}
    reasons = {identity: MISTAKES[colour] for identity, colour in colours.items() if colour != WHITE}
    cut = (CAMERAS[5], 2)
    pictures[cut], reasons[cut] = picture(WHITE)[:-20], "the JPEG is cut short"
    send(job, pictures)
    with driver(**settings(job, "faulty")) as running:
        wait_until_done(job, running)
        assert "is white" in running.podman("logs", running.name), "what the code prints is in the log"
        assert running.stop() == 0
    found = results(job)
    assert {(one.camera, one.sequence) for one in found} == job.sent - reasons.keys()
    assert {label.label for one in found for label in one.detections} == {"white"}
    assert {one.model_version for one in found} == {code_version(CODE / "faulty")}
    rejected = {
        (key.decode(), int(headers["sequence"])): headers["reason"].decode()
        for _, key, _, headers in records(job, job.rejected)
    }
    assert rejected.keys() == reasons.keys()
    for identity, reason in reasons.items():
        assert re.search(reason, rejected[identity])


@pytest.mark.full
@pytest.mark.parametrize("job", ["view"], indirect=True)
def test_the_example_of_the_documentation(job: Job) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (36, 64, 3), dtype=np.uint8)
    yard = cv2.resize(noise, (640, 360), interpolation=cv2.INTER_NEAREST)
    views = {CAMERAS[0]: yard, CAMERAS[1]: yard // 12, CAMERAS[2]: np.full_like(yard, 130)}
    send(job, {(camera, 1): cv2.imencode(".jpg", view)[1].tobytes() for camera, view in views.items()})
    with driver(**settings(job, "view")) as running:
        wait_until_done(job, running)
        assert running.stop() == 0
    found = {one.camera: one for one in results(job)}
    labels = {camera: [each.label for each in one.detections] for camera, one in found.items()}
    assert labels == {CAMERAS[0]: [], CAMERAS[1]: ["dark"], CAMERAS[2]: ["covered"]}
    assert found[CAMERAS[1]].detections[0].box == (0.0, 0.0, 640.0, 360.0)
    assert found[CAMERAS[1]].model_version == code_version(MODELS["code/view"])


@pytest.mark.parametrize("job", ["view"], indirect=True)
def test_code_that_is_no_model_is_refused_by_the_driver(job: Job) -> None:
    with driver(**{**settings(job, "view"), "code": "/opt/argus/apps"}) as running:
        assert int(running.podman("wait", running.name)) == 1
        assert "/opt/argus/apps has no model.py" in running.podman("logs", running.name)
