"""ZooKeeper, which holds the Kafka brokers' metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.images import Image
from components.pipeline.stage import Pipeline, Stage

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

# A member's ID is its ordinal plus one, because ZooKeeper's IDs start at one.
START = "echo $((${HOSTNAME##*-} + 1)) > /data/myid && exec zkServer.sh start-foreground /conf/zoo.cfg"


@dataclass(frozen=True, kw_only=True)
class ZookeeperArgs:
    """Arguments of Zookeeper."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    section: sections.Zookeeper
    storage: sections.Storage


def zoo_cfg(namespace: str, replicas: int) -> str:
    """The configuration that all members share. The limits, in ticks, allow for machines that all start at once."""
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
    """The members as `host:port,…`, available once they are ready."""

    def __init__(self, name: str, args: ZookeeperArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Zookeeper", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        section = args.section

        files: dict[str, pulumi.Input[str]] = {
            "zoo.cfg": pulumi.Output.from_input(args.namespace).apply(lambda ns: zoo_cfg(ns, section.replicas)),
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
                k.env("JVMFLAGS", k.jvm_flags(section.heap_mib)),
                k.env("ZOO_LOG_DIR", "/tmp"),
                k.env("ZOOCFGDIR", "/conf"),
            ],
            ports=k.container_ports(PORTS),
            resources=k.resources_of(section.memory, cpu="20m"),
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
            replicas=section.replicas,
            data=k.claim("zookeeper", section.volume_gib, args.storage.class_name),
            template=core.v1.PodTemplateSpecArgs(
                metadata=k.template_metadata(LABELS, files),
                spec=k.stateful_pod(LABELS, container, volumes, grace_seconds=30),
            ),
            opts=child,
        )
        self.connect = pulumi.Output.all(args.namespace, members.metadata.name).apply(
            lambda known: ",".join(
                f"{k.pod_dns(f'zookeeper-{n}', 'zookeeper', known[0])}:{CLIENT}" for n in range(section.replicas)
            )
        )
        self.register_outputs({"connect": self.connect})


def _declare(pipeline: Pipeline) -> Iterator[Zookeeper]:
    args = ZookeeperArgs(
        namespace=pipeline.namespace,
        image=pipeline.images["zookeeper"],
        section=pipeline.settings.zookeeper,
        storage=pipeline.settings.storage,
    )
    yield Zookeeper("zookeeper", args, pipeline.opts)


STAGE: Final = Stage(
    name="zookeeper",
    section="zookeeper",
    image=Image(name="zookeeper"),
    pods={"zookeeper": LABELS},
    kind="StatefulSet",
    memory_key="heapMiB",
    declare=_declare,
)
