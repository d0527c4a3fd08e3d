"""What each client of Kafka may do there: the table from which the brokers' access rules are made.

It belongs to the table of connections (network_policies.py): who may connect to a broker is in both, and nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

from apps.messages.names import (
    COMPARISON_GROUP,
    CONSUMER_GROUP,
    FILEBEAT_GROUP,
    FRAMES_TOPIC,
    REJECTED_TOPIC,
    UI_GROUP,
    model_group,
    results_topic,
)
from components.config import Settings
from components.config.sections import Outside
from components.pipeline.applications import ROLES, job_name

BROKER: Final = "kafka"
ADMIN: Final = "topics"
KEDA: Final = "keda-operator"
OFFSETS_TOPIC: Final = "__consumer_offsets"
"""Kafka's own. Where a group's broker is away, Sarama, the client of Filebeat and KEDA, looks who has this topic."""
MODEL_CLIENTS, MODEL_GROUPS = job_name(""), model_group("")
"""What the names of applications, and of their groups, begin with."""
SUPER_USERS: Final = (BROKER, ADMIN)
"""Brokers among themselves, and the jobs that make topics and rules; these names may do everything."""


@dataclass(frozen=True, order=True)
class Grant:
    """A client may do this with one topic, or with the offsets of one consumer group. `read` and `write` include
    `describe`, which is to learn that it is there, and how far it is."""

    client: str
    """The name in its certificate."""
    resource: Literal["topic", "group"]
    name: str
    operation: Literal["read", "write", "describe"]


def identity_of(pods: str) -> str:
    """The name that pods of a kind of the table of connections show to a broker; an application's pods share one."""
    for role in ROLES:
        pods = pods.removesuffix(f"-{role}")
    return pods


def models_of(settings: Settings) -> dict[str, list[str]]:
    """The names of the models of each of the stack's applications."""
    return {first: [each.name for each in models] for first, models in settings.applications.items()}


def grants(applications: Mapping[str, Sequence[str]]) -> list[Grant]:
    """Everything that clients may do; `applications` are the names of the models of each application."""
    results = [results_topic(model) for models in applications.values() for model in models]
    return [
        Grant("producer", "topic", FRAMES_TOPIC, "write"),
        *(grant for name, models in applications.items() for grant in _application(job_name(name), models)),
        *_reader("consumer", [FRAMES_TOPIC, *results], CONSUMER_GROUP, "read"),
        *_reader("filebeat", results, FILEBEAT_GROUP, "read"),
        *_reader("comparison", [FRAMES_TOPIC, *results], COMPARISON_GROUP, "read"),
        # How far the others are.
        *(Grant("comparison", "group", group, "describe") for group in (CONSUMER_GROUP, FILEBEAT_GROUP)),
        # It joins no group, but its client looks for the one that it names.
        *_reader("ui", [FRAMES_TOPIC, *results], UI_GROUP, "describe"),
        *(Grant(KEDA, "topic", topic, "describe") for topic in (FRAMES_TOPIC, *results)),
        *(Grant(KEDA, "group", group, "describe") for group in (CONSUMER_GROUP, FILEBEAT_GROUP)),
        *(Grant(client, "topic", OFFSETS_TOPIC, "describe") for client in ("filebeat", KEDA)),
    ]


def grants_of(settings: Settings) -> list[Grant]:
    """Everything that the stack's clients may do, and those outside the cluster."""
    return [*grants(models_of(settings)), *outside_grants(settings.kafka.outside)]


def outside_grants(outside: Outside | None) -> list[Grant]:
    """What clients outside the cluster may do; nothing where there are none."""
    return [
        grant
        for name, client in (outside.clients.items() if outside else ())
        for grant in (
            *(Grant(name, "topic", topic, "read") for topic in client.read),
            *(Grant(name, "topic", topic, "write") for topic in client.write),
            *(Grant(name, "group", group, "read") for group in client.groups),
        )
    ]


def clients_of(granted: Iterable[Grant]) -> list[str]:
    """The names of the clients in the table, each once."""
    return list(dict.fromkeys(grant.client for grant in granted))


def grants_file(granted: Iterable[Grant]) -> str:
    """The table as the job reads it that makes the rules (apps/kafka_rules)."""
    return json.dumps([asdict(grant) for grant in sorted(granted)], indent=2) + "\n"


def _application(client: str, models: Sequence[str]) -> Iterator[Grant]:
    yield Grant(client, "topic", FRAMES_TOPIC, "read")
    yield Grant(client, "topic", REJECTED_TOPIC, "write")
    for model in models:
        yield Grant(client, "topic", results_topic(model), "write")
        yield Grant(client, "group", model_group(model), "read")


def _reader(client: str, topics: Iterable[str], group: str, in_group: Literal["read", "describe"]) -> Iterator[Grant]:
    yield from (Grant(client, "topic", topic, "read") for topic in topics)
    yield Grant(client, "group", group, in_group)
