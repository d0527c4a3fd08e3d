"""The consumer, which stores frames and results on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pulumi

from apps.messages.names import CONSUMER_GROUP, FRAMES_TOPIC
from components import kubernetes as k
from components.autoscaling import LagScaling, LagScalingArgs
from components.images import APP, Image
from components.pipeline import pod_certificates, pod_token
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels("consumer", "archive")
DISK_SHARE = 0.8
"""The share of the volume that the consumer may fill; it deletes the oldest hours before it would use more. Less than
what the page warns of, so that a warning means that this does not suffice."""


class Consumer(pulumi.ComponentResource):
    """Consumer pods that share the partitions; a camera's frames are on the disk of the pod that read them."""

    urls: pulumi.Output[Sequence[str]]
    """URL of each pod's files, up to the maximum number of pods."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Consumer", name, None, pipeline.opts)
        section, replicas = pipeline.settings.consumer, pipeline.settings.consumer.replicas
        servers, access = pipeline.one(Topics).bootstrap_servers, pipeline.kafka_access("consumer")
        scraped, workload = pipeline.scraped, pipeline.workload("consumer", LABELS, self)
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_RESULTS_TOPICS": ",".join(results_topics(pipeline.settings)),
            "ARGUS_CONSUMER_GROUP": CONSUMER_GROUP,
            "ARGUS_DATA_DIR": "/data",
            "ARGUS_RETENTION_HOURS": str(section.retention_hours),
            "ARGUS_MAX_DISK_BYTES": str(int(section.volume_gib * 2**30 * DISK_SHARE)),
            "ARGUS_HTTP_PORT": str(k.HTTP_PORT),
            "ARGUS_PROBE_PORT": str(k.PROBE_PORT),
            "ARGUS_TOKEN_FILE": str(pod_token.FILE),
            "ARGUS_TLS_DIR": pod_certificates.DIR,
            **scraped.variables,
            **access.variables,
        }
        config = k.config_map(f"{name}-config", workload, variables)
        service = k.headless_service(f"{name}-service", workload, k.HTTP_PORTS)
        k.disruption_budget(f"{name}-budget", workload)
        hosts = service.apply(lambda host: [f"consumer-{n}.{host}" for n in range(replicas.maximum)])
        tls = pipeline.certificates.server("consumer", hosts, LABELS)
        container = k.app_container("consumer", pipeline.images["consumer"], config, section.memory, cpu="30m")
        container.volume_mounts = [
            k.mount("data", "/data"),
            pod_token.mount(),
            pod_certificates.mount(),
            *scraped.mounts,
            *access.mounts,
            k.mount("tmp", "/tmp"),
        ]
        pods = k.stateful_set(
            f"{name}-pods",
            workload,
            container,
            [
                pod_token.volume(pipeline.token),
                pod_certificates.volume(tls),
                *scraped.volumes,
                *access.volumes,
                k.scratch_volume(),
            ],
            contents=[variables, *access.contents],
            service=service,
            replicas=replicas.fixed,
            data=k.claim("consumer", section.volume_gib, pipeline.settings.storage.class_name),
            grace_seconds=30,
        )
        if replicas.fixed is None:
            LagScaling(
                name,
                LagScalingArgs(
                    keda=pipeline.keda,
                    workload=workload.named(pods.metadata.name),
                    kind="StatefulSet",
                    bootstrap_servers=servers,
                    group=CONSUMER_GROUP,
                    identity=pipeline.keda_identity,
                    replicas=replicas,
                ),
                workload.opts,
            )
        self.urls = hosts.apply(lambda names: [f"https://{name}:{k.HTTP_PORT}" for name in names])
        self.register_outputs({"urls": self.urls})


STAGE: Final = Stage(
    name="consumer",
    section="consumer",
    image=Image(name="consumer", paths=(*APP, "apps/consumer", "apps/indices", "apps/kafka_rules")),
    pods={"consumer": LABELS},
    kind="StatefulSet",
    reads=("frames", "results"),
    declare=lambda pipeline: [Consumer("consumer", pipeline)],
)
