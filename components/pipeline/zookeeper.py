"""ZooKeeper, which holds the Kafka brokers' metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.images import Image
from components.pipeline.kafka_identities import AUTHORITY, PAIR, Held
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.zookeeper_identities import (
    DIR,
    QUORUM_DIR,
    ZookeeperIdentities,
    ZookeeperIdentitiesArgs,
)

CLIENT, SECURE_CLIENT, QUORUM, ELECTION = 2181, 2281, 2888, 3888
_CLIENT_PORTS: Final = {"client": CLIENT, "secure-client": SECURE_CLIENT}
LABELS: Final = k.labels("zookeeper", "coordination")

_TLS: Final = "TLSv1.3"
_SUITES: Final = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")
_NETTY_CLIENT: Final = "org.apache.zookeeper.ClientCnxnSocketNetty"

_LOGBACK: Final = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5level %logger{1} - %msg%n</pattern></encoder>
  </appender>
{more}  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""
_REFUSALS: Final = """\
  <!-- A probe goes away without a certificate, an error each time; that somebody shows a wrong one is a warning. -->
  <appender name="refusals" class="ch.qos.logback.core.ConsoleAppender">
    <filter class="ch.qos.logback.classic.filter.LevelFilter"><level>ERROR</level><onMatch>DENY</onMatch></filter>
    <encoder><pattern>%d{ISO8601} %-5level %logger{1} - %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.zookeeper.server.NettyServerCnxnFactory" additivity="false">
    <appender-ref ref="refusals"/>
  </logger>
"""

# A member's ID is its ordinal plus one, because ZooKeeper's IDs start at one.
START = "echo $((${HOSTNAME##*-} + 1)) > /data/myid && exec zkServer.sh start-foreground /conf/zoo.cfg"


def client_ports(transport: sections.Transport) -> tuple[int, ...]:
    """The ports at which members listen for brokers."""
    return tuple(_named_client_ports(transport).values())


def port_of_brokers(transport: sections.Transport) -> int:
    """The port to which brokers connect."""
    return SECURE_CLIENT if transport in sections.TRANSPORTS_OF_CLIENTS else CLIENT


def logback_xml(transport: sections.Transport) -> str:
    """What members log: warnings and errors."""
    return _LOGBACK.replace("{more}", "" if transport == "plain" else _REFUSALS)


def zoo_cfg(namespace: str, replicas: int, transport: sections.Transport) -> str:
    """The configuration that all members share. The limits, in ticks, allow for machines that all start at once."""
    lines = [
        "tickTime=2000",
        "initLimit=30",
        "syncLimit=10",
        "dataDir=/data",
        *([f"clientPort={CLIENT}"] if CLIENT in client_ports(transport) else []),
        "maxClientCnxns=120",
        "admin.enableServer=false",
        "autopurge.snapRetainCount=3",
        "autopurge.purgeInterval=6",
        "4lw.commands.whitelist=ruok,srvr",
        "quorumListenOnAllIPs=true",
        *_clients_security(transport),
    ]
    if replicas > 1:
        lines += _quorum_security(transport)
        lines += [
            f"server.{n + 1}={k.pod_dns(f'zookeeper-{n}', 'zookeeper', namespace)}:{QUORUM}:{ELECTION}"
            for n in range(replicas)
        ]
    return "\n".join(lines) + "\n"


def _clients_security(transport: sections.Transport) -> list[str]:
    """How members know brokers; nothing where they are open to everybody."""
    if transport == "plain":
        return []
    return [
        # The only one that can speak TLS.
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        f"secureClientPort={SECURE_CLIENT}",
        "ssl.clientAuth=need",
        *_stores("ssl", DIR),
    ]


def _quorum_security(transport: sections.Transport) -> list[str]:
    """How members know each other; nothing where they do not.

    Members talk to each other over TLS only where each of them has been answering both ways since the update before.
    """
    if transport == "plain":
        return []
    return [
        f"sslQuorum={str(transport in sections.TRANSPORTS_OF_CLIENTS).lower()}",
        f"portUnification={str(transport != 'tls').lower()}",
        "ssl.quorum.clientAuth=need",
        # Their authority signs members alone, and the names of addresses, which would be asked for, come late.
        "ssl.quorum.hostnameVerification=false",
        *_stores("ssl.quorum", QUORUM_DIR),
    ]


def _stores(prefix: str, folder: str) -> list[str]:
    return [
        f"{prefix}.protocol={_TLS}",
        f"{prefix}.enabledProtocols={_TLS}",
        f"{prefix}.keyStore.type=PEM",
        f"{prefix}.keyStore.location={folder}/{PAIR}",
        f"{prefix}.trustStore.type=PEM",
        f"{prefix}.trustStore.location={folder}/{AUTHORITY}",
    ]


def broker_properties(transport: sections.Transport) -> list[str]:
    """What a broker's configuration says of its way to ZooKeeper, beside the addresses."""
    if transport not in sections.TRANSPORTS_OF_CLIENTS:
        return []
    return [
        "zookeeper.ssl.client.enable=true",
        f"zookeeper.clientCnxnSocket={_NETTY_CLIENT}",
        f"zookeeper.ssl.protocol={_TLS}",
        f"zookeeper.ssl.enabled.protocols={_TLS}",
        # The client's own choice, of ZooKeeper 3.8, has none of TLS 1.3.
        f"zookeeper.ssl.cipher.suites={','.join(_SUITES)}",
        "zookeeper.ssl.keystore.type=PEM",
        f"zookeeper.ssl.keystore.location={DIR}/{PAIR}",
        "zookeeper.ssl.truststore.type=PEM",
        f"zookeeper.ssl.truststore.location={DIR}/{AUTHORITY}",
    ]


def tool_properties() -> str:
    """The configuration with which `zkCli.sh -client-configuration` gets in, in a member's pod."""
    lines = [
        "zookeeper.client.secure=true",
        f"zookeeper.clientCnxnSocket={_NETTY_CLIENT}",
        *(f"zookeeper.{line}" for line in _stores("ssl", DIR)),
    ]
    return "\n".join(lines) + "\n"


def _named_client_ports(transport: sections.Transport) -> dict[str, int]:
    unwanted = {"plain": "secure-client", "tls": "client"}.get(transport)
    return {name: port for name, port in _CLIENT_PORTS.items() if name != unwanted}


class Zookeeper(pulumi.ComponentResource):
    """A ZooKeeper ensemble that survives the loss of a minority of its members. Only Kafka uses it."""

    connect: pulumi.Output[str]
    """The members as `host:port,…`, available once they are ready."""
    brokers: Held
    """The certificate with which brokers connect; nothing where they connect in plain."""
    public: Mapping[str, pulumi.Output[str]]
    """All certificates, without their keys, by name (ZookeeperIdentities)."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Zookeeper", name, None, pipeline.opts)
        section, transport = pipeline.settings.zookeeper, pipeline.settings.zookeeper_transport
        workload = pipeline.workload("zookeeper", LABELS, self)
        ports = {**_named_client_ports(transport), "quorum": QUORUM, "election": ELECTION}
        probed, *_ = client_ports(transport)
        held, self.brokers = self._certificates(f"{name}-identities", pipeline)
        files: dict[str, pulumi.Input[str]] = {
            "zoo.cfg": pulumi.Output.from_input(pipeline.namespace).apply(
                lambda ns: zoo_cfg(ns, section.replicas, transport)
            ),
            "logback.xml": logback_xml(transport),
        }
        if transport != "plain":
            files["client.properties"] = tool_properties()
        config = k.config_map(f"{name}-config", workload, files)
        service = k.headless_service(f"{name}-service", workload, ports)
        k.disruption_budget(f"{name}-budget", workload)
        container = core.v1.ContainerArgs(
            name="zookeeper",
            image=pipeline.images["zookeeper"],
            command=["/bin/bash", "-c", START],
            env=[
                k.env("JVMFLAGS", k.jvm_flags(section.heap_mib)),
                k.env("ZOO_LOG_DIR", "/tmp"),
                k.env("ZOOCFGDIR", "/conf"),
            ],
            ports=k.container_ports(ports),
            resources=k.resources_of(section.memory, cpu="20m"),
            security_context=k.container_security(),
            startup_probe=k.tcp_probe(probed, period=5, failures=120),
            readiness_probe=k.tcp_probe(probed),
            liveness_probe=k.tcp_probe(probed, period=20),
            volume_mounts=[
                k.mount("data", "/data"),
                k.mount("config", "/conf", read_only=True),
                *held.mounts,
                k.mount("tmp", "/tmp"),
            ],
        )
        members = k.stateful_set(
            f"{name}-members",
            workload,
            container,
            [k.config_volume(config), *held.volumes, k.scratch_volume()],
            contents=[files, *held.contents],
            service=service,
            replicas=section.replicas,
            data=k.claim("zookeeper", section.volume_gib, pipeline.settings.storage.class_name),
            grace_seconds=30,
            # Its port listens before it is back in the quorum, which needs it when the next one restarts.
            settle_seconds=10,
        )
        self.connect = k.available_after(pipeline.namespace, members.metadata.name).apply(
            lambda namespace: k.addresses("zookeeper", namespace, section.replicas, port_of_brokers(transport))
        )
        self.register_outputs({"connect": self.connect})

    def _certificates(self, name: str, pipeline: Pipeline) -> tuple[Held, Held]:
        """The members' and the brokers'."""
        transport = pipeline.settings.zookeeper_transport
        self.public = {}
        if transport == "plain":
            return Held(), Held()
        every = pulumi.Output.format("*.zookeeper.{0}.svc.cluster.local", pipeline.namespace)
        args = ZookeeperIdentitiesArgs(
            namespace=pipeline.namespace, hosts=[every, "localhost"], section=pipeline.settings.pod_secrets
        )
        made = ZookeeperIdentities(name, args, pulumi.ResourceOptions(parent=self))
        self.public = made.public
        return made.members, made.brokers if transport in sections.TRANSPORTS_OF_CLIENTS else Held()


STAGE: Final = Stage(
    name="zookeeper",
    section="zookeeper",
    image=Image(name="zookeeper"),
    pods={"zookeeper": LABELS},
    kind="StatefulSet",
    memory_key="heapMiB",
    declare=lambda pipeline: [Zookeeper("zookeeper", pipeline)],
)
