"""The Kafka topics, created and updated by a Job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi_kubernetes import core

from apps.messages.names import FRAMES_TOPIC, REJECTED_TOPIC, results_topic
from components import kubernetes as k
from components.config import Settings, sections
from components.pipeline.kafka import STAGE as KAFKA
from components.pipeline.kafka import Kafka, tls_properties
from components.pipeline.kafka_grants import ADMIN, grants_file, grants_of
from components.pipeline.kafka_identities import DIR, Access
from components.pipeline.kafka_quotas import quotas_file
from components.pipeline.stage import Pipeline, Stage

SCRIPT, QUOTAS_SCRIPT = (Path(__file__).with_name(name) for name in ("topics.sh", "quotas.sh"))
LABELS: Final = k.labels("topics", "job")

FRAMES_SHARE, RESULTS_SHARE, REJECTED_SHARE = 0.6, 0.15, 0.05
"""Shares of a broker's disk; the rest is for Kafka's own topics, indexes, and partly filled segments."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic; `settings` are Kafka's topic configs."""

    name: str
    partitions: int
    replication: int
    settings: dict[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """The topic's line in the input of topics.sh."""
        settings = ",".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        return f"{self.name} {self.partitions} {self.replication} {settings or '-'}"


def results_topics(settings: Settings) -> list[str]:
    """The results topics of all the stack's models."""
    return [results_topic(model.name) for model in settings.models]


def bounded(share: float, *, volume_gib: int, partitions_on_broker: int, max_message_bytes: int) -> dict[str, str]:
    """Retention settings in bytes, so that a broker's partitions never use more than `share` of its disk.

    Kafka only deletes whole closed segments, so a partition may use one segment more than its retention.
    """
    room = int(volume_gib * 2**30 * share / partitions_on_broker)
    segment = max(min(room // 5, 2**30), max_message_bytes)
    return {"retention.bytes": str(max(room - segment, segment)), "segment.bytes": str(segment)}


def pipeline_topics(kafka: sections.Kafka, models: Sequence[str]) -> tuple[Topic, ...]:
    """The pipeline's topics: frames, results of each model, and rejected records."""
    copies = min(kafka.replicas, 3)

    def topic(name: str, share: float, count: int, topics: int = 1) -> Topic:
        bytes_bound = bounded(
            share,
            volume_gib=kafka.volume_gib,
            partitions_on_broker=-(-count * topics * copies // kafka.replicas),
            max_message_bytes=kafka.max_message_bytes,
        )
        settings = {
            "cleanup.policy": "delete",
            "max.message.bytes": str(kafka.max_message_bytes),
            # Retention goes by the brokers' clocks: with the senders', one record from the future would keep its whole
            # segment, and a sender whose clock is far behind would have its records deleted at once.
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": str(2 if copies == 3 else 1),
            "retention.ms": str(kafka.retention_hours * 3_600_000),
            "segment.ms": str(max(kafka.retention_hours * 3_600_000 // 6, 600_000)),
            **bytes_bound,
        }
        return Topic(name=name, partitions=count, replication=copies, settings=settings)

    return (
        topic(FRAMES_TOPIC, FRAMES_SHARE, kafka.partitions),
        *(topic(results_topic(model), RESULTS_SHARE, kafka.partitions, len(models)) for model in models),
        topic(REJECTED_TOPIC, REJECTED_SHARE, kafka.replicas),
    )


class Topics(pulumi.ComponentResource):
    """A Job that changes Kafka's topics, and the quotas of clients where brokers know them, to match the declared ones,
    and, where brokers have access rules, one that does so with these; a changed declaration makes a new Job.

    It creates missing topics, adds partitions and alters settings. It never deletes a topic or takes partitions away:
    both would lose frames. A topic that has more partitions than declared keeps them, and its disk space is theirs.
    """

    bootstrap_servers: pulumi.Output[str]
    """Kafka's bootstrap servers, available once the topics match their declaration."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Topics", name, None, pipeline.opts)
        settings = pipeline.settings
        topics = pipeline_topics(settings.kafka, [model.name for model in settings.models])
        files = {"topics": "".join(f"{topic.line()}\n" for topic in topics), "topics.sh": SCRIPT.read_text()}
        command = f"{k.CONFIG_DIR}/topics.sh {k.CONFIG_DIR}/topics"
        if pipeline.identities is not None:
            files |= {"quotas": quotas_file(settings), "quotas.sh": QUOTAS_SCRIPT.read_text()}
            command = f"{command} && bash {k.CONFIG_DIR}/quotas.sh {k.CONFIG_DIR}/quotas"
        tls = settings.kafka.transport in sections.TRANSPORTS_OF_CLIENTS
        if tls:
            files["client.properties"] = "".join(f"{line}\n" for line in tls_properties(DIR))
        # Named by content, so that a Job's pod never reads the ConfigMap of a later change.
        workload = pipeline.workload(f"topics-{k.digest([files, command])[:8]}", LABELS, self)
        config = k.config_map(f"{name}-config", workload, files)
        servers, access = pipeline.one(Kafka).bootstrap_servers, pipeline.kafka_access(ADMIN)
        container = core.v1.ContainerArgs(
            name="topics",
            image=pipeline.images["kafka"],
            command=["/bin/bash", "-c", f"bash {command}"],
            env=[
                k.env("BOOTSTRAP_SERVERS", servers),
                *([k.env("COMMAND_CONFIG", f"{k.CONFIG_DIR}/client.properties")] if tls else []),
                k.env("KAFKA_HEAP_OPTS", k.jvm_flags(128)),
                k.env("KAFKA_JVM_PERFORMANCE_OPTS", "-Xshare:auto"),
                k.env("LOG_DIR", "/tmp/logs"),
            ],
            resources=k.resources(cpu="20m", memory_mib=192, limit_mib=512),
            security_context=k.container_security(),
            volume_mounts=[
                k.mount("config", k.CONFIG_DIR, read_only=True),
                *access.mounts,
                k.mount("tmp", "/tmp"),
            ],
        )
        job = k.job(f"{name}-job", workload, container, [k.config_volume(config), *access.volumes, k.scratch_volume()])
        done = [job.metadata.name]
        if pipeline.identities is not None:
            done.append(self._rules(name, pipeline, servers, access))
        self.bootstrap_servers = k.available_after(servers, *done)
        self.register_outputs({"bootstrap_servers": self.bootstrap_servers})

    def _rules(self, name: str, pipeline: Pipeline, servers: pulumi.Input[str], access: Access) -> pulumi.Output[Any]:
        """The name of the Job that changes the brokers' access rules to match kafka_grants.py, once it is done."""
        files = {"grants.json": grants_file(grants_of(pipeline.settings))}
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": servers,
            "ARGUS_GRANTS_FILE": f"{k.CONFIG_DIR}/grants.json",
            **access.variables,
        }
        # 2, because of an earlier version: its Job of the same name would be deleted first, and would take along what
        # depended on it there, the immutable ConfigMaps of drivers.
        named = k.digest([files, pipeline.settings.kafka.transport, 2])[:8]
        workload = pipeline.workload(f"kafka-rules-{named}", LABELS, self)
        config = k.config_map(f"{name}-rules-config", workload, files)
        environment = k.config_map(f"{name}-rules-environment", workload.named(f"kafka-rules-env-{named}"), variables)
        container = core.v1.ContainerArgs(
            name="rules",
            image=pipeline.images["consumer"],
            command=["python", "-m", "apps.kafka_rules"],
            env_from=k.env_from(environment),
            resources=k.resources(cpu="20m", memory_mib=64, limit_mib=256),
            security_context=k.container_security(),
            volume_mounts=[k.mount("config", k.CONFIG_DIR, read_only=True), *access.mounts],
        )
        job = k.job(f"{name}-rules-job", workload, container, [k.config_volume(config), *access.volumes])
        return job.metadata.name


STAGE: Final = Stage(
    name="topics",
    section="kafka",
    image=KAFKA.image,
    pods={"topics": LABELS},
    kind="Job",
    memory_key=None,
    workloads=lambda _: {},
    declare=lambda pipeline: [Topics("topics", pipeline)],
)
