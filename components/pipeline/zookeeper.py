"""ZooKeeper, which holds the Kafka brokers' metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import Settings

CLIENT, QUORUM, ELECTION = 2181, 2888, 3888
PORTS = {"client": CLIENT, "quorum": QUORUM, "election": ELECTION}
LABELS: Final = k.labels("zookeeper", "coordination")

LOGBACK = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5level %logger{1} - %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""

# A member's number is its ordinal plus one: ZooKeeper has no member zero.
START = "echo $((${HOSTNAME##*-} + 1)) > /data/myid && exec zkServer.sh start-foreground /conf/zoo.cfg"


@dataclass(frozen=True, kw_only=True)
class ZookeeperArgs:
    """Arguments of Zookeeper; `storage_class` None means the local volumes that Argus makes."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    replicas: int = 3
    heap_mib: int = 128
    volume_gib: int = 1
    storage_class: str | None = None

    @classmethod
    def from_settings(
        cls, settings: Settings, *, namespace: pulumi.Input[str], image: pulumi.Input[str]
    ) -> ZookeeperArgs:
        """The ensemble of the stack's configuration."""
        return cls(
            namespace=namespace,
            image=image,
            replicas=settings.zookeeper.replicas,
            heap_mib=settings.zookeeper.heap_mib,
            volume_gib=settings.zookeeper.volume_gib,
            storage_class=settings.storage.class_name,
        )


def zoo_cfg(namespace: str, replicas: int) -> str:
    """The configuration that all members share. Limits are in ticks, generous for machines that start all at once."""
    lines = [
        "tickTime=2000",
        "initLimit=30",
        "syncLimit=10",
        "dataDir=/data",
        f"clientPort={CLIENT}",
        "maxClientCnxns=120",
        "admin.enableServer=false",
        "autopurge.snapRetainCount=3",
        "autopurge.purgeInterval=6",
        "4lw.commands.whitelist=ruok,srvr",
        "quorumListenOnAllIPs=true",
    ]
    if replicas > 1:
        lines += [
            f"server.{n + 1}={k.pod_dns(f'zookeeper-{n}', 'zookeeper', namespace)}:{QUORUM}:{ELECTION}"
            for n in range(replicas)
        ]
    return "\n".join(lines) + "\n"


class Zookeeper(pulumi.ComponentResource):
    """A ZooKeeper ensemble that survives the loss of a minority of its members. Only Kafka uses it."""

    connect: pulumi.Output[str]
    """The members as `host:port,…`, known once they are ready."""

    def __init__(self, name: str, args: ZookeeperArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Zookeeper", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        files: dict[str, pulumi.Input[str]] = {
            "zoo.cfg": pulumi.Output.from_input(args.namespace).apply(lambda ns: zoo_cfg(ns, args.replicas)),
            "logback.xml": LOGBACK,
        }
        config = core.v1.ConfigMap(
            f"{name}-config", metadata=k.metadata("zookeeper", args.namespace, LABELS), data=files, opts=child
        )
        service = k.headless_service(f"{name}-service", "zookeeper", args.namespace, LABELS, ports=PORTS, opts=child)
        k.disruption_budget(f"{name}-budget", "zookeeper", args.namespace, LABELS, opts=child)

        container = core.v1.ContainerArgs(
            name="zookeeper",
            image=args.image,
            command=["/bin/bash", "-c", START],
            env=[
                k.env("JVMFLAGS", k.jvm_flags(args.heap_mib)),
                k.env("ZOO_LOG_DIR", "/tmp"),
                k.env("ZOOCFGDIR", "/conf"),
            ],
            ports=k.container_ports(PORTS),
            resources=k.resources(cpu="20m", memory_mib=args.heap_mib + 96, limit_mib=args.heap_mib * 2 + 192),
            security_context=k.container_security(),
            startup_probe=k.tcp_probe(CLIENT, period=5, failures=120),
            readiness_probe=k.tcp_probe(CLIENT),
            liveness_probe=k.tcp_probe(CLIENT, period=20),
            volume_mounts=[
                k.mount("data", "/data"),
                k.mount("config", "/conf", read_only=True),
                k.mount("tmp", "/tmp"),
            ],
        )
        volumes = [k.config_volume(config.metadata.name), k.scratch_volume()]
        members = k.stateful_set(
            f"{name}-members",
            "zookeeper",
            args.namespace,
            LABELS,
            service=service.metadata.name,
            replicas=args.replicas,
            data=k.claim("zookeeper", args.volume_gib, args.storage_class),
            template=core.v1.PodTemplateSpecArgs(
                metadata=k.template_metadata(LABELS, files),
                spec=k.stateful_pod(LABELS, container, volumes, grace_seconds=30),
            ),
            opts=child,
        )
        self.connect = pulumi.Output.all(args.namespace, members.metadata.name).apply(
            lambda known: ",".join(
                f"{k.pod_dns(f'zookeeper-{n}', 'zookeeper', known[0])}:{CLIENT}" for n in range(args.replicas)
            )
        )
        self.register_outputs({"connect": self.connect})
