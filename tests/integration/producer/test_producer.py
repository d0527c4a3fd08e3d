"""The producer as a process against a real Kafka: the frames that it reports are exactly those in the topic."""

import json
import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from apps.messages import SEQUENCE_SHIFT, Frame, frame_from_kafka
from apps.scenes import render
from tests.integration.processes import App, app
from tests.integration.services import free_port, wait_for
from tests.integration.topics import Topics, ends
from tests.unit.apps.producer.mjpeg_server import mjpeg_camera

CAMERAS = 6


def synthetic(number: int, **settings: object) -> dict[str, object]:
    return {"name": f"cam-{number:02d}", "url": "synthetic://street", "frames_per_second": 10, **settings}


def start(topics: Topics, folder: Path, cameras: list[dict[str, object]], **environment: str):  # type: ignore[no-untyped-def]
    path = folder / "cameras.json"
    path.write_text(json.dumps(cameras))
    return app(
        "apps.producer",
        folder / "log",
        kafka_bootstrap_servers=topics.bootstrap,
        frames_topic=topics.frames,
        cameras_file=str(path),
        credentials_file=str(folder / "credentials.json"),
        **environment,
    )


def cameras_of(running: App) -> dict[str, dict[str, Any]]:
    return {camera["name"]: camera for camera in running.get("/cameras").json()["cameras"]}


def frames_in(topics: Topics) -> list[tuple[int, Frame, int]]:
    """All records of the topic: partition, frame, timestamp."""
    last = {partition: end for (topic, partition), end in ends(topics).items() if topic == topics.frames}
    consumer = Consumer({"bootstrap.servers": topics.bootstrap, "group.id": "none", "enable.auto.commit": False})
    found = []
    try:
        consumer.assign([TopicPartition(topics.frames, partition, OFFSET_BEGINNING) for partition in last])
        while len(found) < sum(last.values()):
            record = consumer.poll(10)
            assert record is not None and record.error() is None
            frame = frame_from_kafka(record.key(), record.value(), record.headers())
            found.append((record.partition(), frame, record.timestamp()[1]))
    finally:
        consumer.close()
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_acknowledged_is_in_the_topic_once_and_nothing_else(
    topics_of_senders_times: Topics, tmp_path: Path, number: signal.Signals
) -> None:
    topics = topics_of_senders_times
    with start(topics, tmp_path, [synthetic(camera) for camera in range(1, CAMERAS + 1)]) as running:
        wait_for("frames", lambda: all(camera["acked"] >= 20 for camera in cameras_of(running).values()), seconds=60)
        said = cameras_of(running)
        assert running.stop(number) == 0
    frames = frames_in(topics)
    identities = [(frame.camera, frame.sequence) for _, frame, _ in frames]
    assert len(identities) == len(set(identities))
    for name, camera in said.items():
        mine = [(partition, frame, moment) for partition, frame, moment in frames if frame.camera == name]
        sequences = [frame.sequence for _, frame, _ in mine]
        # In order and without gaps, and at least what had been acknowledged.
        assert sequences == list(range(camera["first_sequence"], camera["first_sequence"] + len(sequences)))
        assert sequences[-1] >= camera["last_sequence"]
        assert camera["failed"] == [] and camera["state"] == "streaming"
        assert len({partition for partition, _, _ in mine}) == 1
        assert all(moment == int(frame.captured_at.timestamp() * 1000) for _, frame, moment in mine)
        pace = [(b.captured_at - a.captured_at).total_seconds() for (_, a, _), (_, b, _) in pairwise(mine)]
        assert float(np.median(pace)) > 0.08  # A busy machine may be slower, never faster.


def test_a_synthetic_frame_shows_the_scene_of_its_identity(topics: Topics, tmp_path: Path) -> None:
    with start(topics, tmp_path, [synthetic(1, width=320)]) as running:
        wait_for("frames", lambda: cameras_of(running)["cam-01"]["acked"] >= 3, seconds=30)
    for _, frame, _ in frames_in(topics):
        image = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[1::-1] == (frame.width, frame.height) == (320, 180)
        assert cv2.absdiff(image, render(frame.camera, frame.sequence, 320, 180)).mean() < 6


def test_a_restart_goes_on_above_every_earlier_sequence(topics: Topics, tmp_path: Path) -> None:
    for _ in range(2):
        with start(topics, tmp_path, [synthetic(1)]) as running:
            wait_for("frames", lambda up=running: cameras_of(up)["cam-01"]["acked"] >= 5, seconds=30)
        time.sleep(1)
    sequences = [frame.sequence for _, frame, _ in frames_in(topics)]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] - sequences[0] > 1 << 20


def test_a_camera_that_is_down_comes_back_and_disturbs_nobody(topics: Topics, tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", render("unit", 1, 320, 180))[1].tobytes()
    with mjpeg_camera([jpeg]) as camera:
        camera.login = ("me", "hidden-word")
        (tmp_path / "credentials.json").write_text(json.dumps({"door": {"username": "me", "password": "wrong-word"}}))
        door = {"name": "door", "url": camera.url, "frames_per_second": 5}
        with start(topics, tmp_path, [door, synthetic(1)]) as running:
            wait_for("backoff", lambda: cameras_of(running)["door"]["state"] == "backoff", seconds=30)
            assert "401" in cameras_of(running)["door"]["error"]
            before = cameras_of(running)["cam-01"]["acked"]
            wait_for("the other camera", lambda: cameras_of(running)["cam-01"]["acked"] > before + 10, seconds=30)
            camera.login = None
            wait_for("the camera", lambda: cameras_of(running)["door"]["acked"] >= 5, seconds=60)
            # Nothing but damaged pictures for a while: of a mixture, the camera's pace may take the good ones alone.
            camera.parts = [jpeg[:-100]]
            set_aside = 'argus_producer_rejected_total{camera="door",reason="corrupt"}'
            wait_for("a picture set aside", lambda: set_aside in running.metrics(), seconds=30)
            camera.parts = [jpeg]
            after = cameras_of(running)["door"]["acked"]
            wait_for("the camera again", lambda: cameras_of(running)["door"]["acked"] >= after + 5, seconds=30)
            assert cameras_of(running)["door"]["state"] == "streaming"
            metrics = running.metrics()
            assert 'argus_producer_camera_streaming{camera="door"} 1.0' in metrics
            answers = metrics + running.get("/cameras").text
            assert running.stop() == 0
        assert "word" not in answers + running.log.read_text()
    sequences = [frame.sequence for _, frame, _ in frames_in(topics) if frame.camera == "door"]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def test_a_camera_moves_between_producers_without_a_gap_or_two_readers(topics: Topics, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    peers = ",".join(f"127.0.0.1:{port}" for port in ports)

    def producer(port: int, *cameras: int):  # type: ignore[no-untyped-def]
        folder = tmp_path / str(port)
        folder.mkdir()
        return start(topics, folder, [synthetic(n) for n in cameras], http_port=str(port), peers=peers)

    def delivers(running: App, *cameras: int) -> bool:
        said = cameras_of(running)
        return sorted(said) == [f"cam-{n:02d}" for n in cameras] and all(each["acked"] >= 10 for each in said.values())

    with producer(ports[0], 1, 2) as old:
        wait_for("the first producer", lambda: delivers(old, 1, 2), seconds=60)
        with producer(ports[1], 2, 3) as new:
            wait_for("the second one", lambda: delivers(new, 2, 3) and delivers(old, 1), seconds=60)
            new.process.kill()
            wait_for("the first one again", lambda: delivers(old, 1, 2), seconds=60)
        assert old.stop() == 0
    mine = sorted((f for _, f, _ in frames_in(topics) if f.camera == "cam-02"), key=lambda frame: frame.captured_at)
    runs = [frame.sequence >> SEQUENCE_SHIFT for frame in mine]
    assert runs == sorted(runs) and len(set(runs)) == 3  # Three runs, one after the other.
    handed_over = runs.index(sorted(set(runs))[1])
    gap = mine[handed_over].captured_at - mine[handed_over - 1].captured_at
    assert gap.total_seconds() < 5
    others = [frame.sequence for _, frame, _ in frames_in(topics) if frame.camera == "cam-01"]
    assert others == list(range(others[0], others[0] + len(others)))  # It was not disturbed.


def test_an_oversized_frame_gets_no_identity(topics: Topics, tmp_path: Path) -> None:
    cameras = [synthetic(1, width=1280, jpeg_quality=100), synthetic(2, width=128, jpeg_quality=10)]
    with start(topics, tmp_path, cameras, max_frame_bytes="20000") as running:
        wait_for("the small one", lambda: cameras_of(running)["cam-02"]["acked"] >= 5, seconds=30)
        rejected = 'argus_producer_rejected_total{camera="cam-01",reason="oversize"}'
        wait_for("the count", lambda: rejected in running.metrics(), seconds=30)
        assert cameras_of(running)["cam-01"]["first_sequence"] is None
    assert {frame.camera for _, frame, _ in frames_in(topics)} == {"cam-02"}


def test_kafka_frozen_for_a_while_loses_and_repeats_nothing(topics: Topics, tmp_path: Path) -> None:
    if os.environ.get("ARGUS_TEST_KAFKA"):
        pytest.skip("somebody else's broker is not to be frozen")
    with start(topics, tmp_path, [synthetic(1), synthetic(2)]) as running:
        wait_for("frames", lambda: cameras_of(running)["cam-01"]["acked"] >= 10, seconds=30)
        broker = _broker_process(int(topics.bootstrap.rpartition(":")[2]))
        os.kill(broker, signal.SIGSTOP)
        try:
            stalled = cameras_of(running)["cam-01"]["acked"]
            threading.Event().wait(5)
            frozen = cameras_of(running)["cam-01"]
            assert frozen["acked"] <= stalled + 10 and frozen["queued"] > 20
        finally:
            os.kill(broker, signal.SIGCONT)
        wait_for("the queue", lambda: cameras_of(running)["cam-01"]["queued"] < 10, seconds=60)
        assert running.stop() == 0
    for name in ("cam-01", "cam-02"):
        sequences = [frame.sequence for _, frame, _ in frames_in(topics) if frame.camera == name]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def _broker_process(port: int) -> int:
    """The id of the process that listens on a loopback port."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                inodes.add(f"socket:[{fields[9]}]")
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(handle.readlink()) in inodes:
                return int(handle.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody listens on {port}")
