"""The web page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core, rbac

from apps.messages.names import FRAMES_TOPIC
from components import kubernetes as k
from components.autoscaling import CpuScaling, CpuScalingArgs
from components.config import sections
from components.images import APP, Image
from components.pipeline.consumer import Consumer
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.producers import Producers
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels("ui", "web")


@dataclass(frozen=True, kw_only=True)
class UiArgs:
    """Arguments of Ui; `cameras` are the names that the live wall shows at first, `standby` names spare machines."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    results_topics: Sequence[str]
    elasticsearch_url: pulumi.Input[str]
    consumer_urls: pulumi.Input[Sequence[str]]
    producer_urls: pulumi.Input[Sequence[str]]
    cameras: Sequence[str]
    standby: Sequence[str]
    section: sections.Ui


class Ui(pulumi.ComponentResource):
    """The web page's pods, reachable at the same port on every machine."""

    node_port: pulumi.Output[int]

    def __init__(self, name: str, args: UiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Ui", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        section, replicas = args.section, args.section.replicas
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": args.bootstrap_servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_RESULTS_TOPICS": ",".join(args.results_topics),
            "ARGUS_ELASTICSEARCH_URL": args.elasticsearch_url,
            "ARGUS_CONSUMER_URLS": pulumi.Output.from_input(args.consumer_urls).apply(",".join),
            "ARGUS_PRODUCER_URLS": pulumi.Output.from_input(args.producer_urls).apply(",".join),
            "ARGUS_CAMERAS": ",".join(args.cameras),
            "ARGUS_STANDBY_MACHINES": ",".join(args.standby),
            "ARGUS_HTTP_PORT": str(k.HTTP_PORT),
        }
        config = core.v1.ConfigMap(
            f"{name}-config", metadata=k.metadata("ui", args.namespace, LABELS), data=variables, opts=child
        )
        ports = {"http": k.HTTP_PORT}
        k.service(f"{name}-service", "ui", args.namespace, LABELS, ports=ports, opts=child, node_port=section.node_port)
        k.disruption_budget(f"{name}-budget", "ui", args.namespace, LABELS, opts=child)
        container = core.v1.ContainerArgs(
            name="ui",
            image=args.image,
            env_from=k.env_from(config.metadata.name),
            ports=k.container_ports(ports),
            resources=k.resources_of(section.memory, cpu="30m"),
            security_context=k.container_security(),
            startup_probe=k.http_probe(period=5, failures=60),
            readiness_probe=k.http_probe("/readyz"),
            liveness_probe=k.http_probe(period=20),
            volume_mounts=[k.mount("tmp", "/tmp")],
        )
        # The page shows which pods cannot be scheduled.
        sees_pods = rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["get", "list"])
        account = k.service_account(name, "ui", args.namespace, LABELS, [sees_pods], opts=child)
        deployment = k.deployment(
            f"{name}-deployment",
            "ui",
            args.namespace,
            LABELS,
            replicas=replicas.fixed,
            template=core.v1.PodTemplateSpecArgs(
                metadata=k.template_metadata(LABELS, variables),
                spec=k.stateless_pod(
                    LABELS,
                    container,
                    [k.scratch_volume()],
                    grace_seconds=15,
                    service_account=account,
                ),
            ),
            opts=child,
        )
        if replicas.fixed is None:
            CpuScaling(
                name,
                CpuScalingArgs(
                    namespace=args.namespace,
                    deployment=deployment.metadata.name,
                    labels=LABELS,
                    replicas=replicas,
                ),
                child,
            )
        self.node_port = pulumi.Output.from_input(section.node_port)
        self.register_outputs({"node_port": self.node_port})


def _declare(pipeline: Pipeline) -> Iterator[Ui]:
    settings = pipeline.settings
    args = UiArgs(
        namespace=pipeline.namespace,
        image=pipeline.images["ui"],
        bootstrap_servers=pipeline.one(Topics).bootstrap_servers,
        results_topics=results_topics(settings),
        elasticsearch_url=pipeline.one(Elasticsearch).url,
        consumer_urls=pipeline.one(Consumer).urls,
        producer_urls=pipeline.one(Producers).urls,
        cameras=[camera.name for camera in settings.cameras],
        standby=[machine.name for machine in settings.machines.standby],
        section=settings.ui,
    )
    yield Ui("ui", args, pipeline.opts)


STAGE: Final = Stage(
    name="ui",
    section="ui",
    image=Image(name="ui", paths=(*APP, "apps/ui")),
    pods={"ui": LABELS},
    kind="Deployment",
    declare=_declare,
)
