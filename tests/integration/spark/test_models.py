"""A network of every task on a real executor: each frame's result has what its task gives."""

import shutil
import uuid
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from apps.messages import Detection, Result, frame_headers, result_from_json
from tests.integration.services import DRAWN, EXPECTED, TEST_MODELS, build_image
from tests.integration.spark.driver import driver
from tests.integration.spark.test_jobs import STARTED, Job, records, wait_until_done
from tests.integration.topics import create, create_topics, make_frame, producer
from tests.models.dataset import LABELS
from tests.scoring import Found, Real, Scores, everything_kept, together

ROUNDS = 5
CHECKPOINT_BUILD_SECONDS = 2400
CASES = [pytest.param(name, marks=[] if name == "detect-onnx" else pytest.mark.full) for name in EXPECTED]


EXECUTOR = "local-cluster[1,1,384]"
"""Spark's own cluster manager starts an executor as a separate process, as Kubernetes does in a pod."""


@pytest.mark.parametrize("name", CASES)
def test_every_frame_has_a_result_of_the_task(name: str, kafka: str) -> None:
    pictures = EXPECTED[name]["frames"]
    results = results_of(name, pictures, kafka, weights=f"/opt/argus/weights/{name}")
    for result in results:
        expected = pictures[f"{result.camera}.jpg"]
        assert result.detections, f"nothing in {result.camera}"
        for found in result.detections:
            check_parts(found, EXPECTED[name]["task"])
        if "objects" in expected:
            assert {found.label for found in result.detections} & {one["label"] for one in expected["objects"]}


@pytest.mark.full
def test_a_checkpoint_becomes_an_export_while_the_image_is_built(kafka: str, tmp_path: Path) -> None:
    """The build downloads gigabytes of PyTorch but leaves none of it in the image. Takes 10 to 20 minutes."""
    checkpoint = Path(shutil.copy(TEST_MODELS / "detect.pt", tmp_path / "best.pt"))
    tag = "localhost/argus-test/spark-checkpoint"
    build_image("spark", tag=tag, models={"weights/own": checkpoint}, seconds=CHECKPOINT_BUILD_SECONDS)
    pictures = [f"{name}.jpg" for name in ("wide-1", "wide-2", "large", "balls", "figures")]
    # The size of the network's training pictures.
    results = results_of("own", pictures, kafka, weights="/opt/argus/weights/own", size="160x96", reference=tag)
    scores = Scores()
    for result in (result for result in results if result.sequence == 1):
        there = DRAWN[f"{result.camera}.jpg"]
        scores.add(
            [Found(label=one.label, score=one.score, box=one.box) for one in result.detections],
            [Real(label=LABELS[one["kind"]], box=tuple(one["box"])) for one in there],
        )
    figures = together(scores.of({label}, everything_kept) for label in LABELS.values())
    assert figures.recall >= 0.8, figures
    assert figures.precision >= 0.7, figures


def results_of(
    name: str,
    pictures: Iterable[str],
    kafka: str,
    *,
    weights: str,
    size: str | None = None,
    reference: str | None = None,
) -> list[Result]:
    """A model's results for the pictures, each sent `ROUNDS` times; checks that each frame has one result."""
    suffix = uuid.uuid4().hex[:8]
    topics = create_topics(kafka, suffix=suffix, models=[name], partitions=4)
    admin = AdminClient({"bootstrap.servers": kafka})  # Must outlive its futures.
    create(admin, [NewTopic(f"rejected-{suffix}", 4, 1)])
    job = Job(topics, topics.models[0], "objects", f"rejected-{suffix}", set(), set())
    to = producer(kafka)
    for sequence in range(1, ROUNDS + 1):
        for picture in pictures:
            jpeg = (TEST_MODELS / "frames" / picture).read_bytes()
            camera = picture.removesuffix(".jpg")
            frame = make_frame(camera, sequence, STARTED + timedelta(seconds=sequence), jpeg, size_of(jpeg))
            to.produce(topics.frames, key=camera, value=jpeg, headers=frame_headers(frame))
            job.sent.add((camera, sequence))
    assert to.flush(30) == 0
    settings = {**job.settings, "weights": weights, "score_threshold": 0.25, **({"size": size} if size else {})}
    with driver(master=EXECUTOR, reference=reference, **settings) as running:
        wait_until_done(job, running)
        assert running.stop() == 0
    results = [result_from_json(value) for _, _, value, _ in records(job, f"results.{job.model}")]
    assert sorted((result.camera, result.sequence) for result in results) == sorted(job.sent)
    return results


def check_parts(found: Detection, task: str) -> None:
    """Check that a detection has the parts of its task and no others."""
    assert bool(found.polygon) == (task in ("segment", "obb"))
    assert bool(found.keypoints) == (task == "pose")
    assert (found.angle is not None) == (task == "obb")


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height of a JPEG in pixels."""
    height, width = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height
