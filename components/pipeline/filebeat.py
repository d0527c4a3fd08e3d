"""Filebeat, which ships results from Kafka to Elasticsearch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import core

from apps.messages.names import FILEBEAT_GROUP, IDENTITY_FIELD, results_index
from components import kubernetes as k
from components.autoscaling import Keda, LagScaling, LagScalingArgs
from components.config import sections
from components.images import Image
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels("filebeat", "shipper")


@dataclass(frozen=True, kw_only=True)
class FilebeatArgs:
    """Arguments of Filebeat."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    bootstrap_servers: pulumi.Input[str]
    elasticsearch_url: pulumi.Input[str]
    results_topics: Sequence[str]
    keda: Keda | None
    """Needed where the number of pods is not fixed."""
    section: sections.Filebeat


_IDENTITY: Final = f'function process(event) {{ event.Put("@metadata._id", event.Get("{IDENTITY_FIELD}")); }}'
"""Uses the result's identity as the document's `_id`, so that a record that Kafka delivers twice is indexed once."""


def filebeat_yml(bootstrap_servers: str, elasticsearch_url: str, topics: Sequence[str]) -> str:
    """Filebeat's configuration, as JSON (a subset of YAML).

    The index is named by the day of the frame, not of its arrival. Filebeat commits to Kafka only what Elasticsearch
    has accepted.
    """
    config: dict[str, Any] = {
        "filebeat.inputs": [
            {
                "type": "kafka",
                "hosts": bootstrap_servers.split(","),
                "topics": list(topics),
                "group_id": FILEBEAT_GROUP,
                "client_id": "filebeat",
                "version": "2.1.0",
                "initial_offset": "oldest",
                # A broker collects results for this long before it answers, instead of answering for each.
                "fetch": {"min": 1_048_576},
                "max_wait_time": "200ms",
            }
        ],
        "processors": [
            # document_id is not used, because it would remove the field from the document.
            {
                "decode_json_fields": {
                    "fields": ["message"],
                    "target": "",
                    "overwrite_keys": True,
                    "add_error_key": True,
                }
            },
            # A record without an identity is not a result.
            {"drop_event": {"when": {"not": {"has_fields": [IDENTITY_FIELD]}}}},
            # copy_fields cannot write to @metadata.
            {"script": {"lang": "javascript", "source": _IDENTITY}},
            {
                "drop_fields": {
                    "fields": ["message", "kafka", "input", "agent", "ecs", "host", "log"],
                    "ignore_missing": True,
                }
            },
        ],
        "output.elasticsearch": {
            "hosts": [elasticsearch_url],
            "index": results_index("%{[model.name]}", "%{+yyyy.MM.dd}"),
            "bulk_max_size": 500,
            "worker": 1,
        },
        "setup.template.enabled": False,
        "setup.ilm.enabled": False,
        "queue.mem": {"events": 2048, "flush.min_events": 256, "flush.timeout": "100ms"},
        "path.logs": "/tmp",
        "logging.to_files": False,
        "logging.to_stderr": True,
        "logging.level": "info",
        "logging.metrics.enabled": False,
        "http": {"enabled": True, "host": "0.0.0.0", "port": 5066},
    }
    return json.dumps(config, indent=2) + "\n"


class Filebeat(pulumi.ComponentResource):
    """Filebeat pods in one Kafka consumer group; the offsets are in Kafka, so the pods are stateless."""

    def __init__(self, name: str, args: FilebeatArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Filebeat", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files = {
            "filebeat.yml": pulumi.Output.all(args.bootstrap_servers, args.elasticsearch_url).apply(
                lambda known: filebeat_yml(known[0], known[1], args.results_topics)
            )
        }
        config = core.v1.ConfigMap(
            f"{name}-config", metadata=k.metadata("filebeat", args.namespace, LABELS), data=files, opts=child
        )
        k.disruption_budget(f"{name}-budget", "filebeat", args.namespace, LABELS, opts=child)
        container = core.v1.ContainerArgs(
            name="filebeat",
            image=args.image,
            command=["filebeat", "-e", "--strict.perms=false", "-c", f"{k.CONFIG_DIR}/filebeat.yml"],
            ports=k.container_ports({"stats": 5066}),
            resources=k.resources_of(args.section.memory, cpu="20m"),
            security_context=k.container_security(),
            startup_probe=k.http_probe("/", 5066, period=5, failures=60),
            readiness_probe=k.http_probe("/", 5066),
            liveness_probe=k.http_probe("/", 5066, period=20),
            volume_mounts=[
                k.mount("config", k.CONFIG_DIR, read_only=True),
                k.mount("data", "/usr/share/filebeat/data"),
                k.mount("tmp", "/tmp"),
            ],
        )
        volumes = [k.config_volume(config.metadata.name), k.scratch_volume("data"), k.scratch_volume()]
        deployment = k.deployment(
            f"{name}-deployment",
            "filebeat",
            args.namespace,
            LABELS,
            replicas=args.section.replicas.fixed,
            template=core.v1.PodTemplateSpecArgs(
                metadata=k.template_metadata(LABELS, files),
                spec=k.stateless_pod(LABELS, container, volumes, grace_seconds=30),
            ),
            opts=child,
        )
        if args.section.replicas.fixed is None:
            LagScaling(
                name,
                LagScalingArgs(
                    keda=args.keda,
                    namespace=args.namespace,
                    kind="Deployment",
                    target=deployment.metadata.name,
                    labels=LABELS,
                    bootstrap_servers=args.bootstrap_servers,
                    group=FILEBEAT_GROUP,
                    replicas=args.section.replicas,
                ),
                child,
            )
        self.register_outputs({})


def _declare(pipeline: Pipeline) -> Iterator[Filebeat]:
    args = FilebeatArgs(
        namespace=pipeline.namespace,
        image=pipeline.images["filebeat"],
        bootstrap_servers=pipeline.one(Topics).bootstrap_servers,
        elasticsearch_url=pipeline.one(Elasticsearch).url,
        results_topics=results_topics(pipeline.settings),
        keda=pipeline.keda,
        section=pipeline.settings.filebeat,
    )
    yield Filebeat("filebeat", args, pipeline.opts)


STAGE: Final = Stage(
    name="filebeat",
    section="filebeat",
    image=Image(name="filebeat"),
    pods={"filebeat": LABELS},
    kind="Deployment",
    reads=("results",),
    declare=_declare,
)
