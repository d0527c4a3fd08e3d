"""The topics and their disk space."""

from components.config.sections import Kafka
from components.pipeline.topics import pipeline_topics


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
