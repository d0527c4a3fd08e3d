"""Elasticsearch, which stores results for search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apps, batch, core

from apps.messages.names import RESULT_INDICES
from components import kubernetes as k
from components.config import sections
from components.images import Image
from components.pipeline.stage import Pipeline, Stage

HTTP, TRANSPORT = 9200, 9300
PORTS = {"http": HTTP, "transport": TRANSPORT}
HOME = "/usr/share/elasticsearch"
USER = 1000
"""The user of the official image, which owns the server's folders."""

LABELS: Final = k.labels("elasticsearch", "search")
TEMPLATE_LABELS: Final = k.labels("elasticsearch-template", "job")
RETENTION_LABELS: Final = k.labels("elasticsearch-retention", "job")


@dataclass(frozen=True, kw_only=True)
class ElasticsearchArgs:
    """Arguments of Elasticsearch. `tools_image` is the consumer's image, which contains the jobs of apps/indices."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    tools_image: pulumi.Input[str]
    section: sections.Elasticsearch
    storage: sections.Storage


def elasticsearch_yml(namespace: str, replicas: int, volume_gib: int) -> str:
    """The nodes' configuration. All are initial master nodes, so that no node can form a cluster alone."""
    names = [f"elasticsearch-{n}" for n in range(replicas)]
    settings: dict[str, Any] = {
        "cluster.name": "argus",
        "node.name": "${HOSTNAME}",
        "network.host": "0.0.0.0",
        "discovery.seed_hosts": [k.pod_dns(name, "elasticsearch-nodes", namespace) for name in names],
        "cluster.initial_master_nodes": names,
        # mmap would need a higher vm.max_map_count on every machine; plain reads do not.
        "node.store.allow_mmap": False,
        # Elasticsearch's default shares, but of the volume's size: a local volume is a folder on a shared disk.
        **{
            f"cluster.routing.allocation.disk.watermark.{level}": f"{volume_gib * 1024 * percent // 100}mb"
            for level, percent in (("low", 15), ("high", 10), ("flood_stage", 5))
        },
        "action.auto_create_index": RESULT_INDICES,
        "action.destructive_requires_name": True,
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())


def index_template(replicas: int) -> dict[str, Any]:
    """The mapping of the results' indices. It is explicit: unknown fields stay in the document but are not indexed."""
    keyword, day = {"type": "keyword"}, {"type": "date"}
    # Only for drawing: Elasticsearch flattens a list of points to one list of numbers, which no search needs.
    place = {"type": "float", "index": False, "doc_values": False}
    return {
        "index_patterns": [RESULT_INDICES],
        "priority": 200,
        "template": {
            "settings": {
                "number_of_shards": 1,
                "number_of_replicas": 1 if replicas > 1 else 0,
                "refresh_interval": "2s",
            },
            "mappings": {
                "dynamic": False,
                "properties": {
                    "@timestamp": day,
                    "event": {"properties": {"id": keyword, "created": day}},
                    "camera": {"properties": {"name": keyword}},
                    "frame": {
                        "properties": {
                            "sequence": {"type": "long"},
                            "width": {"type": "integer"},
                            "height": {"type": "integer"},
                        }
                    },
                    "model": {"properties": {"name": keyword, "version": keyword}},
                    # Only in results of frames that the model did not look at.
                    "inference": {"properties": {"skipped": keyword, "carried_from": {"type": "long"}}},
                    "detections": {
                        "type": "nested",
                        "properties": {
                            "label": keyword,
                            "score": {"type": "float"},
                            "box": place,
                            "polygon": place,
                            "keypoints": place,
                            "angle": {"type": "float"},
                        },
                    },
                },
            },
        },
    }


class Elasticsearch(pulumi.ComponentResource):
    """Elasticsearch nodes, the index template of the results, and the job that deletes old indices.

    Every node is master-eligible, and a majority must be alive. With two nodes, Elasticsearch keeps only one as voter;
    if that one's machine were removed, the other could never search again. So there are three nodes or more, or one.
    """

    url: pulumi.Output[str]
    """URL of Elasticsearch, available once the nodes are ready and the template is installed."""

    def __init__(self, name: str, args: ElasticsearchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Elasticsearch", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        service = k.service(
            f"{name}-service", "elasticsearch", args.namespace, LABELS, ports={"http": HTTP}, opts=child
        )
        nodes = self._nodes(name, args, child)

        address = pulumi.Output.all(args.namespace, service.metadata.name).apply(
            lambda known: f"http://{known[1]}.{known[0]}.svc.cluster.local:{HTTP}"
        )
        # The nodes' name is an input, so that the Job starts once they are ready.
        ready = pulumi.Output.all(address, nodes.metadata.name).apply(lambda known: str(known[0]))
        job = self._template_job(name, args, ready, child)
        self._retention(name, args, address, child)
        self.url = pulumi.Output.all(ready, job.metadata.name).apply(lambda known: str(known[0]))
        self.register_outputs({"url": self.url})

    def _nodes(self, name: str, args: ElasticsearchArgs, child: pulumi.ResourceOptions) -> apps.v1.StatefulSet:
        section = args.section
        files = {
            "elasticsearch.yml": pulumi.Output.from_input(args.namespace).apply(
                lambda ns: elasticsearch_yml(ns, section.replicas, section.volume_gib)
            )
        }
        config = core.v1.ConfigMap(
            f"{name}-config", metadata=k.metadata("elasticsearch", args.namespace, LABELS), data=files, opts=child
        )
        peers = k.headless_service(
            f"{name}-peers", "elasticsearch-nodes", args.namespace, LABELS, ports=PORTS, opts=child
        )
        k.disruption_budget(f"{name}-budget", "elasticsearch", args.namespace, LABELS, opts=child)
        alive = "/_cluster/health?master_timeout=2s&timeout=2s"
        heap = k.heap_flags(section.heap_mib, share_of_mib=section.heap_share_of_mib)
        container = core.v1.ContainerArgs(
            name="elasticsearch",
            image=args.image,
            env=[
                k.env("ES_JAVA_OPTS", heap),
                # The official image enables security by default; here the cluster's network is the security boundary.
                k.env("xpack.security.enabled", "false"),
            ],
            ports=k.container_ports(PORTS),
            resources=k.resources_of(section.memory, cpu="50m"),
            # The server writes its keystore and unpacked libraries beside its configuration.
            security_context=k.container_security(read_only_root=False),
            startup_probe=k.http_probe(alive, HTTP, period=5, failures=180),
            readiness_probe=k.http_probe(alive, HTTP),
            liveness_probe=k.tcp_probe(TRANSPORT, period=20, failures=6),
            volume_mounts=[
                k.mount("data", f"{HOME}/data"),
                k.mount("config", f"{HOME}/config/elasticsearch.yml", read_only=True, sub_path="elasticsearch.yml"),
                k.mount("tmp", "/tmp"),
            ],
        )
        volumes = [k.config_volume(config.metadata.name), k.scratch_volume()]
        return k.stateful_set(
            f"{name}-nodes",
            "elasticsearch",
            args.namespace,
            LABELS,
            service=peers.metadata.name,
            replicas=section.replicas,
            data=k.claim("elasticsearch", section.volume_gib, args.storage.class_name),
            template=core.v1.PodTemplateSpecArgs(
                metadata=k.template_metadata(LABELS, files),
                spec=k.stateful_pod(LABELS, container, volumes, grace_seconds=120, user=USER),
            ),
            opts=child,
            settle_seconds=15,
        )

    def _template_job(
        self, name: str, args: ElasticsearchArgs, url: pulumi.Output[str], child: pulumi.ResourceOptions
    ) -> batch.v1.Job:
        files = {"template.json": json.dumps(index_template(args.section.replicas), indent=2)}
        unique = f"elasticsearch-template-{k.digest(files)[:8]}"
        config = core.v1.ConfigMap(
            f"{name}-template", metadata=k.metadata(unique, args.namespace, TEMPLATE_LABELS), data=files, opts=child
        )
        container = core.v1.ContainerArgs(
            name="install",
            image=args.tools_image,
            command=["python", "-m", "apps.indices.template", f"{k.CONFIG_DIR}/template.json"],
            env=[k.env("ARGUS_ELASTICSEARCH_URL", url)],
            resources=k.resources(cpu="10m", memory_mib=64, limit_mib=128),
            security_context=k.container_security(),
            volume_mounts=[k.mount("config", k.CONFIG_DIR, read_only=True)],
        )
        volumes = [k.config_volume(config.metadata.name)]
        return k.job(
            f"{name}-template-job",
            unique,
            args.namespace,
            TEMPLATE_LABELS,
            container=container,
            volumes=volumes,
            opts=child,
        )

    def _retention(
        self, name: str, args: ElasticsearchArgs, url: pulumi.Output[str], child: pulumi.ResourceOptions
    ) -> None:
        config = core.v1.ConfigMap(
            f"{name}-retention",
            metadata=k.metadata("elasticsearch-retention", args.namespace, RETENTION_LABELS),
            data={"ARGUS_ELASTICSEARCH_URL": url, "ARGUS_RETENTION_DAYS": str(args.section.retention_days)},
            opts=child,
        )
        container = core.v1.ContainerArgs(
            name="retention",
            image=args.tools_image,
            command=["python", "-m", "apps.indices.retention"],
            env_from=k.env_from(config.metadata.name),
            resources=k.resources(cpu="10m", memory_mib=64, limit_mib=192),
            security_context=k.container_security(),
        )
        batch.v1.CronJob(
            f"{name}-retention-job",
            metadata=k.metadata("elasticsearch-retention", args.namespace, RETENTION_LABELS),
            spec=batch.v1.CronJobSpecArgs(
                schedule="17 * * * *",
                concurrency_policy="Forbid",
                successful_jobs_history_limit=1,
                failed_jobs_history_limit=1,
                job_template=batch.v1.JobTemplateSpecArgs(
                    spec=batch.v1.JobSpecArgs(
                        backoff_limit=3, template=k.task_template(RETENTION_LABELS, container, [])
                    )
                ),
            ),
            opts=child,
        )


def _declare(pipeline: Pipeline) -> Iterator[Elasticsearch]:
    args = ElasticsearchArgs(
        namespace=pipeline.namespace,
        image=pipeline.images["elasticsearch"],
        tools_image=pipeline.images["consumer"],
        section=pipeline.settings.elasticsearch,
        storage=pipeline.settings.storage,
    )
    yield Elasticsearch("elasticsearch", args, pipeline.opts)


STAGE: Final = Stage(
    name="elasticsearch",
    section="elasticsearch",
    image=Image(name="elasticsearch"),
    kind="StatefulSet",
    memory_key="heapMiB",
    pods={
        "elasticsearch": LABELS,
        "elasticsearch-template": TEMPLATE_LABELS,
        "elasticsearch-retention": RETENTION_LABELS,
    },
    declare=_declare,
)
