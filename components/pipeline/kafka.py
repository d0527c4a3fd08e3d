"""The Kafka brokers."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.images import Image
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.zookeeper import Zookeeper

PORT = 9092
DATA = "/var/lib/kafka/data"
LABELS: Final = k.labels("kafka", "log")

LOG4J = """\
log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka=WARN
log4j.logger.org.apache.kafka=WARN
log4j.logger.org.apache.zookeeper=WARN
log4j.logger.kafka.server.KafkaServer=INFO
"""

# The broker's ID, address and rack follow from the pod's name and node.
START = """\
exec /opt/kafka/bin/kafka-server-start.sh /etc/argus/server.properties \\
  --override "broker.id=${HOSTNAME##*-}" \\
  --override "advertised.listeners=PLAINTEXT://${HOSTNAME}.kafka.${POD_NAMESPACE}.svc.cluster.local:9092" \\
  --override "broker.rack=${NODE_NAME}"
"""


def server_properties(zookeeper_connect: str, section: sections.Kafka) -> str:
    """The configuration that all brokers share. With three or more brokers, losing one loses no record."""
    copies, max_message_bytes = min(section.replicas, 3), section.max_message_bytes
    in_sync = 2 if copies == 3 else 1
    return "\n".join([
        f"zookeeper.connect={zookeeper_connect}",
        "zookeeper.connection.timeout.ms=120000",
        "zookeeper.session.timeout.ms=30000",
        f"listeners=PLAINTEXT://:{PORT}",
        # A subfolder, because the volume's root may contain lost+found.
        f"log.dirs={DATA}/log",
        f"default.replication.factor={copies}",
        f"min.insync.replicas={in_sync}",
        f"offsets.topic.replication.factor={copies}",
        # Followers' fetches watch every partition, and the few groups here write little. An existing topic keeps its
        # partitions.
        f"offsets.topic.num.partitions={section.replicas}",
        f"transaction.state.log.replication.factor={copies}",
        f"transaction.state.log.min.isr={in_sync}",
        "unclean.leader.election.enable=false",
        "auto.create.topics.enable=false",
        "controlled.shutdown.enable=true",
        f"message.max.bytes={max_message_bytes}",
        f"replica.fetch.max.bytes={max_message_bytes}",
        # A follower's fetch is answered when this much has come or this time has passed, not for each record. A record
        # is acknowledged and readable once followers have it, so the time is part of every frame's latency, twice.
        "replica.fetch.min.bytes=262144",
        "replica.fetch.wait.max.ms=100",
        f"replica.fetch.response.max.bytes={max(10 * max_message_bytes, 10485760)}",
        "log.retention.check.interval.ms=60000",
        # The default buffer of 128 MiB would not fit a small heap; the only compacted topics are Kafka's own.
        "log.cleaner.dedupe.buffer.size=16777216",
        "num.network.threads=2",
        "num.io.threads=4",
        "group.initial.rebalance.delay.ms=1000",
    ]) + "\n"  # fmt: skip


class Kafka(pulumi.ComponentResource):
    """Kafka brokers in ZooKeeper mode. Topics declares the topics."""

    bootstrap_servers: pulumi.Output[str]
    """The brokers as `host:port,…`, available once they are ready."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Kafka", name, None, pipeline.opts)
        section = pipeline.settings.kafka
        workload = pipeline.workload("kafka", LABELS, self)
        files: dict[str, pulumi.Input[str]] = {
            "server.properties": pipeline.one(Zookeeper).connect.apply(
                lambda connect: server_properties(connect, section)
            ),
            "log4j.properties": LOG4J,
        }
        config = k.config_map(f"{name}-config", workload, files)
        service = k.headless_service(f"{name}-service", workload, {"kafka": PORT})
        k.disruption_budget(f"{name}-budget", workload)
        container = core.v1.ContainerArgs(
            name="kafka",
            image=pipeline.images["kafka"],
            command=["/bin/bash", "-c", START],
            env=[
                k.env_field("POD_NAMESPACE", "metadata.namespace"),
                k.env_field("NODE_NAME", "spec.nodeName"),
                k.env("KAFKA_HEAP_OPTS", k.jvm_flags(section.heap_mib, share_of_mib=section.heap_share_of_mib)),
                k.env("KAFKA_JVM_PERFORMANCE_OPTS", "-server -Djava.awt.headless=true"),
                k.env("KAFKA_LOG4J_OPTS", f"-Dlog4j.configuration=file:{k.CONFIG_DIR}/log4j.properties"),
                # Leave out the default -loggc, whose log would fill the scratch volume.
                k.env("EXTRA_ARGS", "-name kafkaServer"),
                k.env("LOG_DIR", "/tmp/logs"),
            ],
            ports=k.container_ports({"kafka": PORT}),
            resources=k.resources_of(section.memory, cpu="50m"),
            security_context=k.container_security(),
            startup_probe=k.tcp_probe(PORT, period=5, failures=180),
            readiness_probe=k.tcp_probe(PORT),
            liveness_probe=k.tcp_probe(PORT, period=20, failures=6),
            volume_mounts=[
                k.mount("data", DATA),
                k.mount("config", k.CONFIG_DIR, read_only=True),
                k.mount("tmp", "/tmp"),
            ],
        )
        brokers = k.stateful_set(
            f"{name}-brokers",
            workload,
            container,
            [k.config_volume(config), k.scratch_volume()],
            contents=[files],
            service=service,
            replicas=section.replicas,
            data=k.claim("kafka", section.volume_gib, pipeline.settings.storage.class_name),
            grace_seconds=120,
            # Give an updated broker time to catch up before the next one restarts.
            settle_seconds=15,
        )
        self.bootstrap_servers = k.available_after(pipeline.namespace, brokers.metadata.name).apply(
            lambda namespace: k.addresses("kafka", namespace, section.replicas, PORT)
        )
        self.register_outputs({"bootstrap_servers": self.bootstrap_servers})


STAGE: Final = Stage(
    name="kafka",
    section="kafka",
    image=Image(name="kafka"),
    pods={"kafka": LABELS},
    kind="StatefulSet",
    memory_key="heapMiB",
    declare=lambda pipeline: [Kafka("kafka", pipeline)],
)
