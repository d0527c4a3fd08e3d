"""The web page."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_kubernetes import rbac

from apps.messages.names import FRAMES_TOPIC
from components import kubernetes as k
from components.autoscaling import CpuScaling, CpuScalingArgs
from components.images import APP, Image
from components.pipeline.consumer import Consumer
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.producers import Producers
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels("ui", "web")


class Ui(pulumi.ComponentResource):
    """The web page's pods, reachable at the same port on every machine."""

    node_port: pulumi.Output[int]

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Ui", name, None, pipeline.opts)
        settings, section = pipeline.settings, pipeline.settings.ui
        workload = pipeline.workload("ui", LABELS, self)
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": pipeline.one(Topics).bootstrap_servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_RESULTS_TOPICS": ",".join(results_topics(settings)),
            "ARGUS_ELASTICSEARCH_URL": pipeline.one(Elasticsearch).url,
            "ARGUS_CONSUMER_URLS": pipeline.one(Consumer).urls.apply(",".join),
            "ARGUS_PRODUCER_URLS": pipeline.one(Producers).urls.apply(",".join),
            # The cameras that the live wall shows at first.
            "ARGUS_CAMERAS": ",".join(camera.name for camera in settings.cameras),
            "ARGUS_STANDBY_MACHINES": ",".join(machine.name for machine in settings.machines.standby),
            "ARGUS_HTTP_PORT": str(k.HTTP_PORT),
        }
        config = k.config_map(f"{name}-config", workload, variables)
        k.service(f"{name}-service", workload, k.HTTP_PORTS, node_port=section.node_port)
        k.disruption_budget(f"{name}-budget", workload)
        container = k.app_container("ui", pipeline.images["ui"], config, section.memory, cpu="30m")
        # The page shows which pods cannot be scheduled.
        sees_pods = rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["get", "list"])
        deployment = k.deployment(
            f"{name}-deployment",
            workload,
            container,
            [k.scratch_volume()],
            contents=[variables],
            replicas=section.replicas.fixed,
            service_account=k.service_account(name, workload, [sees_pods]),
            grace_seconds=15,
        )
        if section.replicas.fixed is None:
            scaling = CpuScalingArgs(workload=workload.named(deployment.metadata.name), replicas=section.replicas)
            CpuScaling(name, scaling, workload.opts)
        self.node_port = pulumi.Output.from_input(section.node_port)
        self.register_outputs({"node_port": self.node_port})


STAGE: Final = Stage(
    name="ui",
    section="ui",
    image=Image(name="ui", paths=(*APP, "apps/ui")),
    pods={"ui": LABELS},
    kind="Deployment",
    declare=lambda pipeline: [Ui("ui", pipeline)],
)
