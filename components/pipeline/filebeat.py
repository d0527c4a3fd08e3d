"""Filebeat, which ships results from Kafka to Elasticsearch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi_kubernetes import core

from apps.messages.names import FILEBEAT, FILEBEAT_GROUP, IDENTITY_FIELD, results_index
from components import kubernetes as k
from components.autoscaling import LagScaling, LagScalingArgs
from components.config import sections
from components.images import Image
from components.pipeline.consumer import STAGE as CONSUMER
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.elasticsearch_identities import DIR as SEARCH_DIR
from components.pipeline.kafka_identities import AUTHORITY, DIR, PAIR
from components.pipeline.scraping import Scraped
from components.pipeline.stage import Pipeline, Stage
from components.pipeline.topics import Topics, results_topics

LABELS: Final = k.labels(FILEBEAT, "shipper")
STATS_PORT: Final = 5066
"""Where Filebeat serves its counters, inside its pod alone: it asks nobody who he is."""
METRICS: Final = "metrics"
"""The name of the container that answers for it outside."""
METRICS_MEMORY: Final = sections.Memory(requestMiB=48, limitMiB=96)


def _tls(folder: str) -> Mapping[str, Any]:
    return {
        "certificate_authorities": [f"{folder}/{AUTHORITY}"],
        "certificate": f"{folder}/{PAIR}",
        "key": f"{folder}/{PAIR}",
        "supported_protocols": ["TLSv1.3"],
    }


TLS: Final = _tls(DIR)
"""How it connects to brokers that want a certificate."""
SEARCH_TLS: Final[Mapping[str, Any]] = {"ssl": _tls(SEARCH_DIR), "compression_level": 0}
"""The same for Elasticsearch. The proxy before its nodes reads no body that is compressed."""

_IDENTITY: Final = f'function process(event) {{ event.Put("@metadata._id", event.Get("{IDENTITY_FIELD}")); }}'
"""Uses the result's identity as the document's `_id`, so that a record that Kafka delivers twice is indexed once."""


def filebeat_yml(
    bootstrap_servers: str,
    elasticsearch_url: str,
    topics: Sequence[str],
    tls: Mapping[str, Any] | None = None,
    search_tls: Mapping[str, Any] | None = None,
) -> str:
    """Filebeat's configuration, as JSON (a subset of YAML).

    The index is named by the day of the frame, not of its arrival. Filebeat commits to Kafka only what Elasticsearch
    has accepted. `tls` and `search_tls`, TLS and SEARCH_TLS, are for its connections to Kafka and Elasticsearch; None:
    they are in plain.
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
                **({"ssl": tls} if tls else {}),
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
            **(search_tls or {}),
        },
        "setup.template.enabled": False,
        "setup.ilm.enabled": False,
        "queue.mem": {"events": 2048, "flush.min_events": 256, "flush.timeout": "100ms"},
        "path.logs": "/tmp",
        "logging.to_files": False,
        "logging.to_stderr": True,
        "logging.level": "info",
        "logging.metrics.enabled": False,
        "http": {"enabled": True, "host": "127.0.0.1", "port": STATS_PORT},
    }
    return json.dumps(config, indent=2) + "\n"


class Filebeat(pulumi.ComponentResource):
    """Filebeat pods in one Kafka consumer group; the offsets are in Kafka, so the pods are stateless."""

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Filebeat", name, None, pipeline.opts)
        section, servers = pipeline.settings.filebeat, pipeline.one(Topics).bootstrap_servers
        topics, access = results_topics(pipeline.settings), pipeline.kafka_access(FILEBEAT)
        search = pipeline.one(Elasticsearch).client(FILEBEAT)
        tls, search_tls = TLS if access.volumes else None, SEARCH_TLS if search.volumes else None
        workload = pipeline.workload("filebeat", LABELS, self)
        files = {
            "filebeat.yml": pulumi.Output.all(servers, search.url).apply(
                lambda addresses: filebeat_yml(addresses[0], addresses[1], topics, tls, search_tls)
            )
        }
        config = k.config_map(f"{name}-config", workload, files)
        k.disruption_budget(f"{name}-budget", workload)
        container = core.v1.ContainerArgs(
            name="filebeat",
            image=pipeline.images["filebeat"],
            command=["filebeat", "-e", "--strict.perms=false", "-c", f"{k.CONFIG_DIR}/filebeat.yml"],
            resources=k.resources_of(section.memory, cpu="20m"),
            security_context=k.container_security(),
            # By the container beside it, which may take a while to come back.
            startup_probe=k.http_probe("/readyz", k.PROBE_PORT, period=5, failures=60),
            readiness_probe=k.http_probe("/readyz", k.PROBE_PORT),
            liveness_probe=k.http_probe("/readyz", k.PROBE_PORT, period=20, failures=6),
            volume_mounts=[
                k.mount("config", k.CONFIG_DIR, read_only=True),
                *access.mounts,
                *search.mounts,
                k.mount("data", "/usr/share/filebeat/data"),
                k.mount("tmp", "/tmp"),
            ],
        )
        deployment = k.deployment(
            f"{name}-deployment",
            workload,
            container,
            [
                k.config_volume(config),
                *access.volumes,
                *search.volumes,
                *pipeline.scraped.volumes,
                k.scratch_volume("data"),
                k.scratch_volume(),
            ],
            beside=[_metrics_container(pipeline.images["consumer"], pipeline.scraped)],
            contents=[files, *access.contents, *search.contents],
            replicas=section.replicas.fixed,
            grace_seconds=30,
        )
        if section.replicas.fixed is None:
            LagScaling(
                name,
                LagScalingArgs(
                    keda=pipeline.keda,
                    workload=workload.named(deployment.metadata.name),
                    kind="Deployment",
                    bootstrap_servers=servers,
                    group=FILEBEAT_GROUP,
                    identity=pipeline.keda_identity,
                    replicas=section.replicas,
                ),
                workload.opts,
            )
        self.register_outputs({})


def _metrics_container(image: pulumi.Input[str], scraped: Scraped) -> core.v1.ContainerArgs:
    """What answers for Filebeat (apps/indices/counters.py), in the consumer's image."""
    variables = {
        **scraped.variables,
        "ARGUS_PROBE_PORT": str(k.PROBE_PORT),
        "ARGUS_FILEBEAT_PORT": str(STATS_PORT),
    }
    return core.v1.ContainerArgs(
        name=METRICS,
        image=image,
        command=["python", "-m", "apps.indices.counters"],
        env=[k.env(name, value) for name, value in variables.items()],
        ports=k.container_ports({"probes": k.PROBE_PORT, **k.METRICS_PORTS}),
        resources=k.resources_of(METRICS_MEMORY, cpu="2m"),
        security_context=k.container_security(),
        startup_probe=k.http_probe(port=k.PROBE_PORT, period=2, failures=60),
        liveness_probe=k.http_probe(port=k.PROBE_PORT, period=20),
        volume_mounts=[*scraped.mounts, k.mount("tmp", "/tmp")],
    )


STAGE: Final = Stage(
    name="filebeat",
    section="filebeat",
    image=Image(name="filebeat"),
    pods={"filebeat": LABELS},
    kind="Deployment",
    reads=("results",),
    beside=lambda _: {METRICS: METRICS_MEMORY},
    images_beside=(CONSUMER.image.name,),
    declare=lambda pipeline: [Filebeat("filebeat", pipeline)],
)
