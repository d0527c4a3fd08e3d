"""The job that compares the results in Kafka, on disk and in the index, and completes the index and the disks."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_kubernetes import core

from apps.messages.names import COMPARISON, FRAMES_TOPIC
from components import kubernetes as k
from components.pipeline import pod_token
from components.pipeline.consumer import STAGE as CONSUMER
from components.pipeline.consumer import Consumer
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels(COMPARISON, "job")
SCHEDULE: Final = "*/15 * * * *"
LONGEST_SECONDS: Final = 3600
"""A run may have hours of results to send; the next one waits for it."""


class Comparison(pulumi.ComponentResource):
    """A CronJob in the consumer's image; its last report is in the status of its pod, where the page reads it.

    A run that leaves a result out of the index fails, and is not tried again before its next time.
    """

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Comparison", name, None, pipeline.opts)
        workload = pipeline.workload("comparison", LABELS, self)
        access, search = pipeline.kafka_access("comparison"), pipeline.one(Elasticsearch).client(COMPARISON)
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_KAFKA_BOOTSTRAP_SERVERS": pipeline.one(Topics).bootstrap_servers,
            "ARGUS_FRAMES_TOPIC": FRAMES_TOPIC,
            "ARGUS_RESULTS_TOPICS": ",".join(results_topics(pipeline.settings)),
            **search.variables,
            "ARGUS_CONSUMER_URLS": pipeline.one(Consumer).urls.apply(",".join),
            "ARGUS_TOKEN_FILE": str(pod_token.FILE),
            "ARGUS_AUTHORITY_FILE": str(pod_token.AUTHORITY),
            **access.variables,
        }
        config = k.config_map(f"{name}-config", workload, variables)
        container = core.v1.ContainerArgs(
            name="compare",
            image=pipeline.images["consumer"],
            command=["python", "-m", "apps.indices.compare"],
            env_from=k.env_from(config),
            resources=k.resources(cpu="20m", memory_mib=96, limit_mib=512),
            security_context=k.container_security(),
            volume_mounts=[pod_token.mount(), *access.mounts, *search.mounts],
        )
        k.cron_job(
            f"{name}-job",
            workload,
            container,
            [pod_token.volume(pipeline.token), *access.volumes, *search.volumes],
            schedule=SCHEDULE,
            retries=0,
            longest_seconds=LONGEST_SECONDS,
        )
        self.register_outputs({})


STAGE: Final = Stage(
    name="comparison",
    section="consumer",
    image=CONSUMER.image,
    pods={"comparison": LABELS},
    kind="Job",
    memory_key=None,
    workloads=lambda _: {},
    declare=lambda pipeline: [Comparison("comparison", pipeline)],
)
