"""Each of the pipeline's programs does its work at a broker that admits nobody but by the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.cimpl import NewTopic

from apps.indices.results_log import ResultsLog
from apps.kafka_rules.__main__ import apply, rule_of
from apps.messages import Frame, frame_headers
from apps.messages.names import (
    COMPARISON_GROUP,
    CONSUMER_GROUP,
    FILEBEAT_GROUP,
    FRAMES_TOPIC,
    REJECTED_TOPIC,
    model_group,
    results_topic,
)
from apps.ui.reader import Reader
from components.pipeline.applications import job_name
from components.pipeline.filebeat import TLS, filebeat_yml
from components.pipeline.kafka_grants import ADMIN, grants
from components.pipeline.kafka_identities import DIR
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.brokers import Brokers
from tests.integration.processes import App, app
from tests.integration.services import container, wait_for
from tests.integration.spark.driver import driver
from tests.integration.topics import create

MODEL = "motion"
RESULTS = results_topic(MODEL)
TOPICS = (FRAMES_TOPIC, RESULTS, REJECTED_TOPIC)
PARTITIONS = 2
LIMIT_SECONDS = 300


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    folder = tmp_path_factory.mktemp("kafka")
    folder.chmod(0o755)
    with (
        services.zookeeper("tls") as zookeeper,
        Brokers(zookeeper, folder, Authority(folder / "authority"), transport="tls") as started,
    ):
        create(started.admin(), [NewTopic(name, PARTITIONS, 1) for name in TOPICS])
        apply(started.admin(), [rule_of(asdict(grant)) for grant in grants({MODEL: [MODEL]})])
        yield started


def written(brokers: Brokers, topic: str) -> int:
    """The number of records in a topic."""
    consumer = Consumer({**brokers.connection(ADMIN), "group.id": "none"})
    try:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        return sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    finally:
        consumer.close()


def committed(brokers: Brokers, group: str, topic: str) -> int:
    """The number of records that the group has done."""
    consumer = Consumer({**brokers.connection(ADMIN), "group.id": group, "enable.auto.commit": False})
    try:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        return sum(max(0, place.offset) for place in consumer.committed(places, timeout=10))
    finally:
        consumer.close()


def connects(brokers: Brokers, identity: str) -> dict[str, str]:
    """The variables of an app that shows this name."""
    return {
        "kafka_bootstrap_servers": brokers.connection(ADMIN)["bootstrap.servers"],
        "kafka_tls_dir": str(brokers.authority.identity(identity)),
    }


@pytest.fixture(scope="module")
def frames(brokers: Brokers, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Frames that a producer has written; their number."""
    folder = tmp_path_factory.mktemp("producer")
    cameras = [{"name": "cam-1", "url": "synthetic://street", "frames_per_second": 10}]
    (folder / "cameras.json").write_text(json.dumps(cameras))
    with app(
        "apps.producer",
        folder / "log",
        **connects(brokers, "producer"),
        frames_topic=FRAMES_TOPIC,
        cameras_file=str(folder / "cameras.json"),
        credentials_file=str(folder / "credentials.json"),
    ) as running:
        wait_for("frames", lambda: acknowledged(running) >= 10, seconds=LIMIT_SECONDS)
        assert running.stop() == 0
    return written(brokers, FRAMES_TOPIC)


def acknowledged(producer: App) -> int:
    (camera,) = producer.get("/cameras").json()["cameras"]
    return int(camera["acked"])


@pytest.fixture(scope="module")
def results(brokers: Brokers, frames: int) -> int:
    """Results that a model's application has written for the frames, and committed; their number."""
    with driver(
        "local[2]",
        folders={DIR: brokers.authority.identity(job_name(MODEL))},
        kafka_bootstrap_servers=connects(brokers, ADMIN)["kafka_bootstrap_servers"],
        kafka_tls_dir=DIR,
        model_name=MODEL,
        model_kind=MODEL,
        frames_topic=FRAMES_TOPIC,
        results_topic=RESULTS,
        rejected_topic=REJECTED_TOPIC,
        consumer_group=model_group(MODEL),
        trigger_seconds=0.5,
    ) as started:
        started.wait_until("results", lambda: committed(brokers, model_group(MODEL), FRAMES_TOPIC) >= frames)
        assert started.stop() == 0
    assert written(brokers, RESULTS) == frames
    return frames


@pytest.mark.full
def test_the_consumer_stores_frames_and_results(brokers: Brokers, frames: int, results: int, tmp_path: Path) -> None:
    with app(
        "apps.consumer",
        tmp_path / "log",
        **connects(brokers, "consumer"),
        frames_topic=FRAMES_TOPIC,
        results_topics=RESULTS,
        consumer_group=CONSUMER_GROUP,
        consumer_member="consumer-0",
        data_dir=str(tmp_path / "data"),
    ):
        for topic in (FRAMES_TOPIC, RESULTS):
            wait_for(
                "the consumer", lambda topic=topic: committed(brokers, CONSUMER_GROUP, topic) >= frames, seconds=60
            )
    names = [path.suffix for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert (names.count(".jpg"), names.count(".json")) == (frames, results)


@pytest.mark.full
def test_filebeat_ships_results(brokers: Brokers, results: int) -> None:
    servers = connects(brokers, ADMIN)["kafka_bootstrap_servers"]
    config = json.loads(filebeat_yml(servers, "http://nowhere", [RESULTS], TLS))
    # The test is about where it reads.
    del config["output.elasticsearch"]
    config |= {"output.console": {"enabled": True}, "http": {"enabled": False}}
    with container(
        "filebeat",
        files={"/etc/argus/filebeat.yml": json.dumps(config)},
        command=["-e", "--strict.perms=false", "-c", "/etc/argus/filebeat.yml"],
        environment={},
        folders={DIR: brokers.authority.identity("filebeat")},
        ready=lambda: committed(brokers, FILEBEAT_GROUP, RESULTS) >= results,
        data="/usr/share/filebeat/data",
    ):
        assert committed(brokers, FILEBEAT_GROUP, RESULTS) == results


@pytest.mark.full
def test_the_comparison_reads_results_and_frames_and_how_far_others_are(
    brokers: Brokers, frames: int, results: int
) -> None:
    now = datetime.now(UTC)
    log = ResultsLog(brokers.connection("comparison"), [RESULTS], FRAMES_TOPIC)
    try:
        window = log.window()
        assert len(list(log.records(window.starts, window.ends))) == results
        assert len(list(log.frames(now - timedelta(hours=1)))) == frames
        log.commit(window.ends, now)
    finally:
        log.close()
    assert committed(brokers, COMPARISON_GROUP, RESULTS) == results


@pytest.mark.full
def test_the_page_reads_new_frames(brokers: Brokers, frames: int, results: int) -> None:
    seen: list[Frame] = []
    connects: Any = SimpleNamespace(
        kafka_connection=brokers.connection("ui"), frames_topic=FRAMES_TOPIC, results_topics=[RESULTS]
    )
    wall: Any = SimpleNamespace(add_frame=lambda frame, _: bool(seen.append(frame)), add_result=lambda *_: True)
    reader = Reader(connects, wall)
    reader.start()
    try:
        wait_for("the page to read", lambda: reader.ready, seconds=60)
        new = Frame(camera="gate", sequence=1, captured_at=datetime.now(UTC), width=1, height=1, jpeg=b"jpeg")
        writer = Producer(brokers.connection("producer"))
        writer.produce(FRAMES_TOPIC, new.jpeg, key=b"gate", headers=[*frame_headers(new)])
        assert writer.flush(60) == 0
        wait_for("the new frame", lambda: "gate" in {frame.camera for frame in seen}, seconds=60)
    finally:
        reader.stop()
