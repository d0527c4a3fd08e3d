"""Prints how many of Kafka's partitions lack a replica: `python -m tests.marathon.replicas`, among the pods.

In its stdin are librdkafka's settings that reach the brokers, as JSON.
"""

import json
import sys
from typing import Any

from confluent_kafka.admin import AdminClient

TIMEOUT_S = 20.0


def lacking(topics: dict[str, Any]) -> int:
    """The partitions of which fewer replicas are in step than there should be, or that have no leader."""
    return sum(
        len(partition.isrs) < len(partition.replicas) or partition.leader < 0
        for topic in topics.values()
        for partition in topic.partitions.values()
    )


if __name__ == "__main__":
    client = AdminClient({**json.load(sys.stdin), "log_level": 0})
    print(lacking(client.list_topics(timeout=TIMEOUT_S).topics))
