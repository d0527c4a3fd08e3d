"""The topics and their disk space."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from components.config.sections import Kafka
from components.pipeline.topics import SCRIPT, Topic, pipeline_topics

SETTINGS = {"max.message.bytes": "2000000", "retention.bytes": "40000000", "segment.bytes": "8000000"}
FRAMES, RESULTS, REJECTED = (
    Topic(name="frames", partitions=12, replication=3, settings=SETTINGS),
    Topic(name="results.objects", partitions=12, replication=3, settings=SETTINGS),
    Topic(name="rejected", partitions=3, replication=3, settings=SETTINGS),
)

Apply = Callable[[Mapping[str, tuple[int, str]], tuple[Topic, ...]], list[str]]


@pytest.fixture
def apply(tmp_path: Path) -> Apply:
    """Runs topics.sh with tools that show the given topics and write down what they are asked to do."""
    asked = tmp_path / "asked"
    for tool in ("kafka-topics.sh", "kafka-configs.sh"):
        path = tmp_path / tool
        # Kafka's own words are left out of what is written down: the address and the replication.
        path.write_text(
            '#!/bin/bash\n[[ $* != *--describe* ]] || exec cat "${0%/*}/described"\n'
            'shift 2; echo "$*" >>"${0%/*}/asked"\n'
        )
        path.chmod(0o755)
    script = tmp_path / "topics.sh"
    script.write_text(SCRIPT.read_text().replace("/opt/kafka/bin", str(tmp_path)))

    def run(existing: Mapping[str, tuple[int, str]], wanted: tuple[Topic, ...]) -> list[str]:
        (tmp_path / "described").write_text(
            "".join(
                f"Topic: {name}\tTopicId: x\tPartitionCount: {count}\tReplicationFactor: 3\tConfigs: {settings}\n"
                for name, (count, settings) in existing.items()
            )
        )
        asked.write_text("")
        (tmp_path / "topics").write_text("".join(f"{topic.line()}\n" for topic in wanted))
        environment = {**os.environ, "BOOTSTRAP_SERVERS": "kafka:9092"}
        subprocess.run(["bash", script, tmp_path / "topics"], env=environment, check=True, timeout=60)
        return asked.read_text().splitlines()

    return run


def settings(retention: int = 40_000_000, segment: int = 8_000_000) -> str:
    return f"max.message.bytes=2000000,retention.bytes={retention},segment.bytes={segment}"


def test_topics_are_created_and_then_left_alone(apply: Apply) -> None:
    created = apply({}, (FRAMES, RESULTS, REJECTED))
    assert [line.split()[3:6:2] for line in created] == [["frames", "12"], ["results.objects", "12"], ["rejected", "3"]]
    assert all("--config retention.bytes=40000000" in line for line in created)
    there = {topic.name: (topic.partitions, settings()) for topic in (FRAMES, RESULTS, REJECTED)}
    assert apply(there, (FRAMES, RESULTS, REJECTED)) == []


def test_partitions_are_added_and_settings_altered(apply: Apply) -> None:
    there = {"frames": (8, settings()), "results.objects": (12, settings(retention=1))}
    assert apply(there, (FRAMES, RESULTS)) == [
        "--alter --topic frames --partitions 12",
        f"--alter --entity-type topics --entity-name results.objects --add-config {settings()}",
    ]


def test_a_topic_keeps_its_partitions_and_they_share_the_disk(apply: Apply) -> None:
    there = {"frames": (40, settings()), "results.objects": (40, settings()), "rejected": (3, settings())}
    shared = settings(retention=12_000_000, segment=2_400_000)
    assert apply(there, (FRAMES, RESULTS, REJECTED)) == [
        f"--alter --entity-type topics --entity-name {name} --add-config {shared}"
        for name in ("frames", "results.objects")
    ]
    again = {"frames": (40, shared), "results.objects": (40, shared), "rejected": (3, settings())}
    assert apply(again, (FRAMES, RESULTS, REJECTED)) == []


def test_a_new_models_results_have_the_partitions_that_frames_have(apply: Apply) -> None:
    there = {"frames": (40, settings(retention=12_000_000, segment=2_400_000))}
    (created,) = apply(there, (FRAMES, RESULTS))
    assert created.startswith("--create --if-not-exists --topic results.objects --partitions 40 ")
    assert "--config retention.bytes=12000000" in created


def test_a_segment_always_holds_the_largest_record(apply: Apply) -> None:
    small = Topic(name="frames", partitions=12, replication=3, settings={**SETTINGS, "segment.bytes": "2000000"})
    (altered,) = apply({"frames": (40, settings())}, (small,))
    assert altered.endswith(settings(retention=12_000_000, segment=2_000_000))


def test_retention_fits_the_brokers_disk() -> None:
    kafka = Kafka.model_validate({"volumeGiB": 8})
    assert (kafka.partitions, kafka.replicas, kafka.max_message_bytes) == (40, 3, 2_000_000)
    topics = pipeline_topics(kafka, ["objects", "motion"])
    assert [topic.name for topic in topics] == ["frames", "results.objects", "results.motion", "rejected"]
    worst = sum(
        topic.partitions * (int(topic.settings["retention.bytes"]) + int(topic.settings["segment.bytes"]))
        for topic in topics
    )
    assert worst < 0.85 * 8 * 2**30
    assert all(topic.settings["max.message.bytes"] == "2000000" for topic in topics)
    assert all(int(topic.settings["segment.bytes"]) >= 2_000_000 for topic in topics)


def test_retention_goes_by_the_brokers_clocks() -> None:
    topics = pipeline_topics(Kafka(), ["objects"])
    assert {topic.settings["message.timestamp.type"] for topic in topics} == {"LogAppendTime"}
