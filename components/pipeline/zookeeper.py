"""ZooKeeper, which holds the Kafka brokers' metadata."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
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

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Zookeeper", name, None, pipeline.opts)
        section = pipeline.settings.zookeeper
        workload = pipeline.workload("zookeeper", LABELS, self)
        files: dict[str, pulumi.Input[str]] = {
            "zoo.cfg": pulumi.Output.from_input(pipeline.namespace).apply(lambda ns: zoo_cfg(ns, section.replicas)),
            "logback.xml": LOGBACK,
        }
        config = k.config_map(f"{name}-config", workload, files)
        service = k.headless_service(f"{name}-service", workload, PORTS)
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
        members = k.stateful_set(
            f"{name}-members",
            workload,
            container,
            [k.config_volume(config), k.scratch_volume()],
            contents=[files],
            service=service,
            replicas=section.replicas,
            data=k.claim("zookeeper", section.volume_gib, pipeline.settings.storage.class_name),
            grace_seconds=30,
        )
        self.connect = k.available_after(pipeline.namespace, members.metadata.name).apply(
            lambda namespace: k.addresses("zookeeper", namespace, section.replicas, CLIENT)
        )
        self.register_outputs({"connect": self.connect})


STAGE: Final = Stage(
    name="zookeeper",
    section="zookeeper",
    image=Image(name="zookeeper"),
    pods={"zookeeper": LABELS},
    kind="StatefulSet",
    memory_key="heapMiB",
    declare=lambda pipeline: [Zookeeper("zookeeper", pipeline)],
)
