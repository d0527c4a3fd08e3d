"""The consumer, which stores frames and results on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from apps.messages.names import CONSUMER_GROUP, FRAMES_TOPIC
from components import kubernetes as k
from components.autoscaling import Keda, LagScaling, LagScalingArgs
from components.config import sections
from components.images import APP, Image
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels("consumer", "archive")
DISK_SHARE = 0.85
"""The share of the volume that the consumer may fill; it deletes the oldest hours before it would use more."""


@dataclass(frozen=True, kw_only=True)
class ConsumerArgs:
    """Arguments of Consumer."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    results_topics: Sequence[str]
    keda: Keda | None
    """Needed where the number of pods is not fixed."""
    section: sections.Consumer
    storage: sections.Storage


class Consumer(pulumi.ComponentResource):
    """Consumer pods that share the partitions; a camera's frames are on the disk of the pod that read them."""

    urls: pulumi.Output[Sequence[str]]
    """URL of each pod's files, up to the maximum number of pods."""

    def __init__(self, name: str, args: ConsumerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Consumer", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        section, replicas = args.section, args.section.replicas
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": args.bootstrap_servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_RESULTS_TOPICS": ",".join(args.results_topics),
            "ARGUS_CONSUMER_GROUP": CONSUMER_GROUP,
            "ARGUS_DATA_DIR": "/data",
            "ARGUS_RETENTION_HOURS": str(section.retention_hours),
            "ARGUS_MAX_DISK_BYTES": str(int(section.volume_gib * 2**30 * DISK_SHARE)),
            "ARGUS_HTTP_PORT": str(k.HTTP_PORT),
        }
        config = core.v1.ConfigMap(
            f"{name}-config", metadata=k.metadata("consumer", args.namespace, LABELS), data=variables, opts=child
        )
        ports = {"http": k.HTTP_PORT}
        service = k.headless_service(f"{name}-service", "consumer", args.namespace, LABELS, ports=ports, opts=child)
        k.disruption_budget(f"{name}-budget", "consumer", args.namespace, LABELS, opts=child)
        container = core.v1.ContainerArgs(
            name="consumer",
            image=args.image,
            env_from=k.env_from(config.metadata.name),
            ports=k.container_ports(ports),
            resources=k.resources_of(section.memory, cpu="30m"),
            security_context=k.container_security(),
            startup_probe=k.http_probe(period=5, failures=60),
            readiness_probe=k.http_probe("/readyz"),
            liveness_probe=k.http_probe(period=20),
            volume_mounts=[k.mount("data", "/data"), k.mount("tmp", "/tmp")],
        )
        pods = k.stateful_set(
            f"{name}-pods",
            "consumer",
            args.namespace,
            LABELS,
            service=service.metadata.name,
            replicas=replicas.fixed,
            data=k.claim("consumer", section.volume_gib, args.storage.class_name),
            template=core.v1.PodTemplateSpecArgs(
                metadata=k.template_metadata(LABELS, variables),
                spec=k.stateful_pod(LABELS, container, [k.scratch_volume()], grace_seconds=30),
            ),
            opts=child,
        )
        if replicas.fixed is None:
            LagScaling(
                name,
                LagScalingArgs(
                    keda=args.keda,
                    namespace=args.namespace,
                    kind="StatefulSet",
                    target=pods.metadata.name,
                    labels=LABELS,
                    bootstrap_servers=args.bootstrap_servers,
                    group=CONSUMER_GROUP,
                    replicas=replicas,
                ),
                child,
            )
        self.urls = pulumi.Output.from_input(service.metadata.name).apply(
            lambda host: [f"http://consumer-{n}.{host}:{k.HTTP_PORT}" for n in range(replicas.maximum)]
        )
        self.register_outputs({"urls": self.urls})


def _declare(pipeline: Pipeline) -> Iterator[Consumer]:
    args = ConsumerArgs(
        namespace=pipeline.namespace,
        image=pipeline.images["consumer"],
        bootstrap_servers=pipeline.one(Topics).bootstrap_servers,
        results_topics=results_topics(pipeline.settings),
        keda=pipeline.keda,
        section=pipeline.settings.consumer,
        storage=pipeline.settings.storage,
    )
    yield Consumer("consumer", args, pipeline.opts)


STAGE: Final = Stage(
    name="consumer",
    section="consumer",
    image=Image(name="consumer", paths=(*APP, "apps/consumer", "apps/indices")),
    pods={"consumer": LABELS},
    kind="StatefulSet",
    reads=("frames", "results"),
    declare=_declare,
)
