"""Every task's network on a real executor: frames in, and in each result what the task gives."""

import uuid
from datetime import timedelta

import cv2
import numpy as np
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from apps.messages import Detection, frame_headers, result_from_json
from tests.integration.services import EXPECTED, TEST_MODELS
from tests.integration.spark.driver import driver
from tests.integration.spark.test_jobs import STARTED, Job, records, wait_until_done
from tests.integration.topics import create, create_topics, make_frame, producer

ROUNDS = 5
CASES = [pytest.param(name, marks=[] if name == "detect-onnx" else pytest.mark.full) for name in EXPECTED]


@pytest.mark.parametrize("name", CASES)
def test_every_frame_has_a_result_of_the_task(name: str, kafka: str) -> None:
    suffix = uuid.uuid4().hex[:8]
    topics = create_topics(kafka, suffix=suffix, models=[name], partitions=4)
    admin = AdminClient({"bootstrap.servers": kafka})  # must outlive its futures
    create(admin, [NewTopic(f"rejected-{suffix}", 4, 1)])
    job = Job(topics, topics.models[0], "objects", f"rejected-{suffix}", set(), set())
    pictures = EXPECTED[name]["frames"]
    to = producer(kafka)
    for sequence in range(1, ROUNDS + 1):
        for picture in pictures:
            jpeg = (TEST_MODELS / "frames" / picture).read_bytes()
            camera = picture.removesuffix(".jpg")
            frame = make_frame(camera, sequence, STARTED + timedelta(seconds=sequence), jpeg, size_of(jpeg))
            to.produce(topics.frames, key=camera, value=jpeg, headers=frame_headers(frame))
            job.sent.add((camera, sequence))
    assert to.flush(30) == 0
    settings = {**job.settings, "weights": f"/opt/argus/weights/{name}", "score_threshold": 0.25}
    with driver(**settings) as running:
        wait_until_done(job, running)
        assert running.stop() == 0
    results = [result_from_json(value) for _, _, value, _ in records(job, f"results.{job.model}")]
    assert {(result.camera, result.sequence) for result in results} == job.sent
    for result in results:
        expected = pictures[f"{result.camera}.jpg"]
        assert result.detections, f"nothing in {result.camera}"
        for found in result.detections:
            check_parts(found, EXPECTED[name]["task"])
        if "objects" in expected:
            assert {found.label for found in result.detections} & {one["label"] for one in expected["objects"]}


def check_parts(found: Detection, task: str) -> None:
    """A detection has what its task gives, and nothing else."""
    assert bool(found.polygon) == (task in ("segment", "obb"))
    assert bool(found.keypoints) == (task == "pose")
    assert (found.angle is not None) == (task == "obb")


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG in pixels."""
    height, width = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height
