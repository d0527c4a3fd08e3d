"""The Kafka brokers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.images import Image
from components.pipeline.kafka_grants import BROKER, SUPER_USERS
from components.pipeline.kafka_identities import AUTHORITY, DIR, PAIR, Access
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.zookeeper import Zookeeper, broker_properties

PORT, TLS_PORT, OUTSIDE_PORT = 9092, 9093, 9094
OUTSIDE: Final = "OUTSIDE"
"""The listener for clients outside the cluster."""
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

LOG4J_REFUSALS: Final = "log4j.logger.kafka.authorizer.logger=INFO\n"
"""A line for each request that a client has no right to."""

_HOST: Final = "${HOSTNAME}.kafka.${POD_NAMESPACE}.svc.cluster.local"


def ports(transport: sections.Transport) -> dict[str, int]:
    """The brokers' ports by the names of their listeners."""
    listeners = {"PLAINTEXT": PORT, "SSL": TLS_PORT}
    unwanted = {"plain": "SSL", "tls": "PLAINTEXT"}.get(transport)
    return {name: port for name, port in listeners.items() if name != unwanted}


def port_of_clients(transport: sections.Transport) -> int:
    """The port to which clients, and brokers among themselves, connect."""
    return TLS_PORT if transport in sections.TRANSPORTS_OF_CLIENTS else PORT


def start(transport: sections.Transport, *, outside: tuple[str, int] | None = None) -> str:
    """The brokers' command. The broker's ID, addresses and rack follow from the pod's name and node; `outside` is where
    clients outside the cluster reach the first broker."""
    advertised = ",".join(f"{name}://{_HOST}:{port}" for name, port in ports(transport).items())
    if outside is not None:
        host, first = outside
        advertised += f",{OUTSIDE}://{host}:$(({first} + ${{HOSTNAME##*-}}))"
    return (
        "exec /opt/kafka/bin/kafka-server-start.sh /etc/argus/server.properties \\\n"
        '  --override "broker.id=${HOSTNAME##*-}" \\\n'
        f'  --override "advertised.listeners={advertised}" \\\n'
        '  --override "broker.rack=${NODE_NAME}"\n'
    )


def security_properties(transport: sections.Transport) -> list[str]:
    """How brokers know their clients, and what these may do; nothing where a broker is open to everybody.

    Brokers talk to each other over TLS only where each of them has been listening with it since the update before.
    """
    if transport == "plain":
        return []
    anonymous = () if transport == "tls" else ("ANONYMOUS",)
    within = "SSL" if transport in sections.TRANSPORTS_OF_CLIENTS else "PLAINTEXT"
    return [
        f"inter.broker.listener.name={within}",
        *_stores(DIR),
        "ssl.client.auth=required",
        # The name alone.
        "ssl.principal.mapping.rules=RULE:^CN=([a-z0-9-]+)$/$1/",
        "authorizer.class.name=kafka.security.authorizer.AclAuthorizer",
        f"super.users={';'.join(f'User:{name}' for name in (*SUPER_USERS, *anonymous))}",
        f"allow.everyone.if.no.acl.found={str(transport != 'tls').lower()}",
    ]


def listeners(section: sections.Kafka) -> dict[str, int]:
    """The ports of all the brokers' listeners by their names."""
    return ports(section.transport) | ({OUTSIDE: OUTSIDE_PORT} if section.outside else {})


def tls_properties(folder: str) -> list[str]:
    """The settings of a Java client with the certificate in this folder."""
    return ["security.protocol=SSL", *_stores(folder)]


def _stores(folder: str) -> list[str]:
    return [
        "ssl.enabled.protocols=TLSv1.3",
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={folder}/{PAIR}",
        "ssl.truststore.type=PEM",
        f"ssl.truststore.location={folder}/{AUTHORITY}",
    ]


def server_properties(zookeeper_connect: str, section: sections.Kafka, zookeeper_transport: sections.Transport) -> str:
    """The configuration that all brokers share. With three or more brokers, losing one loses no record."""
    copies, max_message_bytes = min(section.replicas, 3), section.max_message_bytes
    in_sync = 2 if copies == 3 else 1
    return "\n".join([
        f"zookeeper.connect={zookeeper_connect}",
        "zookeeper.connection.timeout.ms=120000",
        "zookeeper.session.timeout.ms=30000",
        *broker_properties(zookeeper_transport),
        f"listeners={','.join(f'{name}://:{port}' for name, port in listeners(section).items())}",
        *([f"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,{OUTSIDE}:SSL"] if section.outside else []),
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
        f"num.network.threads={sections.BROKER_NETWORK_THREADS}",
        f"num.io.threads={sections.BROKER_IO_THREADS}",
        "group.initial.rebalance.delay.ms=1000",
        *security_properties(section.transport),
    ]) + "\n"  # fmt: skip


class Kafka(pulumi.ComponentResource):
    """Kafka brokers in ZooKeeper mode. Topics declares the topics."""

    bootstrap_servers: pulumi.Output[str]
    """The brokers as `host:port,…`, available once they are ready."""
    outside_servers: str | None = None
    """The same for clients outside the cluster; None where there are none."""
    outside_clients: pulumi.Output[Any] | None = None
    """The files of each client outside the cluster, by its name, a secret; None where there are none."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Kafka", name, None, pipeline.opts)
        section = pipeline.settings.kafka
        workload = pipeline.workload("kafka", LABELS, self)
        zookeeper = pipeline.one(Zookeeper)
        files: dict[str, pulumi.Input[str]] = {
            "server.properties": zookeeper.connect.apply(
                lambda connect: server_properties(connect, section, pipeline.settings.zookeeper_transport)
            ),
            "log4j.properties": LOG4J,
        }
        if section.transport != "plain":
            files["log4j.properties"] = f"{LOG4J}{LOG4J_REFUSALS}"
            files["client.properties"] = "".join(f"{line}\n" for line in tls_properties(DIR))
        config = k.config_map(f"{name}-config", workload, files)
        listening = ports(section.transport)
        named = {{PORT: "kafka", TLS_PORT: "kafka-tls"}[port]: port for port in listening.values()}
        probed, *_ = listening.values()
        reached = self._outside(name, pipeline, workload)
        outside_port = {"kafka-outside": OUTSIDE_PORT} if reached else {}
        access = self._access(pipeline)
        service = k.headless_service(f"{name}-service", workload, named)
        k.disruption_budget(f"{name}-budget", workload)
        container = core.v1.ContainerArgs(
            name="kafka",
            image=pipeline.images["kafka"],
            command=["/bin/bash", "-c", start(section.transport, outside=reached)],
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
            ports=k.container_ports(named | outside_port),
            resources=k.resources_of(section.memory, cpu="50m"),
            security_context=k.container_security(),
            startup_probe=k.tcp_probe(probed, period=5, failures=180),
            readiness_probe=k.tcp_probe(probed),
            liveness_probe=k.tcp_probe(probed, period=20, failures=6),
            volume_mounts=[
                k.mount("data", DATA),
                k.mount("config", k.CONFIG_DIR, read_only=True),
                *access.mounts,
                *zookeeper.brokers.mounts,
                k.mount("tmp", "/tmp"),
            ],
        )
        brokers = k.stateful_set(
            f"{name}-brokers",
            workload,
            container,
            [k.config_volume(config), *access.volumes, *zookeeper.brokers.volumes, k.scratch_volume()],
            contents=[files, *access.contents, *zookeeper.brokers.contents],
            service=service,
            replicas=section.replicas,
            data=k.claim("kafka", section.volume_gib, pipeline.settings.storage.class_name),
            grace_seconds=120,
            # Give an updated broker time to catch up before the next one restarts.
            settle_seconds=15,
        )
        self.bootstrap_servers = k.available_after(pipeline.namespace, brokers.metadata.name).apply(
            lambda namespace: k.addresses("kafka", namespace, section.replicas, port_of_clients(section.transport))
        )
        self.register_outputs({"bootstrap_servers": self.bootstrap_servers})

    def _access(self, pipeline: Pipeline) -> Access:
        """The brokers' certificate, which is also good for a tool that an operator runs in a broker's pod."""
        if pipeline.identities is None:
            return Access()
        every = pulumi.Output.format("*.kafka.{0}.svc.cluster.local", pipeline.namespace)
        outside = pipeline.settings.kafka_outside_host
        return pipeline.identities.access(BROKER, [every, "localhost", *([outside] if outside else [])])

    def _outside(self, name: str, pipeline: Pipeline, workload: k.Workload) -> tuple[str, int] | None:
        """Let clients outside the cluster in. Returns where these reach the first broker; None where there are none.

        A port at every machine for each broker, so that it is reached wherever it runs.
        """
        section, host = pipeline.settings.kafka, pipeline.settings.kafka_outside_host
        if section.outside is None or host is None or pipeline.identities is None:
            return None
        for number, port in enumerate(section.outside.ports(section.replicas)):
            # Named by the port: with other ports, none is asked for while another Service still has it.
            broker = workload.named(f"kafka-outside-{port}")
            one = {**LABELS, k.POD_NAME: f"kafka-{number}"}
            k.service(f"{name}-outside-{port}", replace(broker, labels=one), {"kafka": OUTSIDE_PORT}, node_port=port)
        self.outside_servers = ",".join(f"{host}:{port}" for port in section.outside.ports(section.replicas))
        files = {client: pipeline.identities.files(client) for client in section.outside.clients}
        self.outside_clients = pulumi.Output.secret(files)
        return host, section.outside.node_port


STAGE: Final = Stage(
    name="kafka",
    section="kafka",
    image=Image(name="kafka"),
    pods={"kafka": LABELS},
    kind="StatefulSet",
    memory_key="heapMiB",
    declare=lambda pipeline: [Kafka("kafka", pipeline)],
)
