"""Elasticsearch, which stores results for search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apps, batch, core

from apps.messages.names import AUDIT_INDICES, RESULT_INDICES
from components import kubernetes as k
from components.config import Settings, sections
from components.images import Image
from components.pipeline import elasticsearch_peers as peers
from components.pipeline import elasticsearch_proxy as proxy
from components.pipeline.elasticsearch_grants import RETENTION, TEMPLATE
from components.pipeline.elasticsearch_identities import (
    DIR,
    Access,
    ElasticsearchIdentities,
    ElasticsearchIdentitiesArgs,
)
from components.pipeline.elasticsearch_peer_identity import ElasticsearchPeerIdentity, ElasticsearchPeerIdentityArgs
from components.pipeline.stage import Pipeline, Stage

HTTP: Final = 9200
HOME = "/usr/share/elasticsearch"
USER = 1000
"""The user of the official image, which owns the server's folders."""

ALIVE: Final = "/_cluster/health?master_timeout=2s&timeout=2s"

LABELS: Final = k.labels("elasticsearch", "search")
TEMPLATE_LABELS: Final = k.labels(TEMPLATE, "job")
RETENTION_LABELS: Final = k.labels(RETENTION, "job")

FORMED: Final = "elasticsearch-formed"
"""The ConfigMap that is there once the nodes have formed their cluster (ADR 41)."""
_INITIAL_MASTERS: Final = "cluster.initial_master_nodes"
NEVER_AGAIN: Final = {_INITIAL_MASTERS: "formed-already"}
"""A setting that takes the place of the one in elasticsearch.yml. No node has that name, so none forms a cluster."""


def ports(transport: sections.SearchTransport) -> dict[str, int]:
    """The ports at which nodes answer clients, by name."""
    every = {"http": HTTP, "https": proxy.HTTPS}
    unwanted = {"plain": "https", "tls": "http"}.get(transport)
    return {name: port for name, port in every.items() if name != unwanted}


WATERMARKS: Final = {"low": 15, "high": 10, "flood_stage": 5}
"""Free space of a volume (percent of its size) at which a node takes no more shards, gives some away, and refuses.

Elasticsearch's default shares, but of the volume's size: a local volume is a folder on a shared disk."""


def elasticsearch_yml(namespace: str, section: sections.Elasticsearch, *, audit: bool = False) -> str:
    """The nodes' configuration. All are initial master nodes, so that no node can form a cluster alone.

    Once they have formed one, NEVER_AGAIN keeps nodes without data from forming another.
    With `audit`, indices of the audit log are made as they are written to, like those of results.
    With `transport: tls` only the proxy in its pod reaches a node in plain, and so with `nodeTransport: tls`.
    """
    names = [f"elasticsearch-{n}" for n in range(section.replicas)]
    settings: dict[str, Any] = {
        "cluster.name": "argus",
        "node.name": "${HOSTNAME}",
        "network.host": "0.0.0.0",
        **({"http.host": "127.0.0.1"} if section.transport == "tls" else {}),
        **peers.settings(section, [k.pod_dns(name, "elasticsearch-nodes", namespace) for name in names]),
        _INITIAL_MASTERS: names,
        # mmap would need a higher vm.max_map_count on every machine; plain reads do not.
        "node.store.allow_mmap": False,
        **{
            f"cluster.routing.allocation.disk.watermark.{level}": f"{section.volume_gib * 1024 * percent // 100}mb"
            for level, percent in WATERMARKS.items()
        },
        "action.auto_create_index": f"{RESULT_INDICES},{AUDIT_INDICES}" if audit else RESULT_INDICES,
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
                # No refresh_interval: an index that nobody has searched for 30 s is refreshed when somebody does.
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


def audit_template(replicas: int) -> dict[str, Any]:
    """The mapping of the audit log's indices, with the field names of Elastic's own integration for it."""
    keyword: dict[str, Any] = {"type": "keyword", "ignore_above": 1024}
    audit: dict[str, Any] = {
        **{name: keyword for name in ("auditID", "stage", "verb", "requestURI", "sourceIPs", "userAgent")},
        "user": {"properties": {"username": keyword, "groups": keyword}},
        "objectRef": {
            "properties": {name: keyword for name in ("resource", "subresource", "namespace", "name", "apiGroup")}
        },
        "responseStatus": {"properties": {"code": {"type": "integer"}}},
    }
    return {
        "index_patterns": [AUDIT_INDICES],
        "priority": 200,
        "template": {
            "settings": {"number_of_shards": 1, "number_of_replicas": 1 if replicas > 1 else 0},
            "mappings": {
                "dynamic": False,
                "properties": {
                    "@timestamp": {"type": "date"},
                    "host": {"properties": {"name": keyword}},
                    "kubernetes": {"properties": {"audit": {"properties": audit}}},
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

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:Elasticsearch", name, None, pipeline.opts)
        self._name, self._pipeline, self._section = name, pipeline, pipeline.settings.elasticsearch
        workload = pipeline.workload("elasticsearch", LABELS, self)
        self._ports = ports(self._section.transport)
        service = k.service(f"{name}-service", workload, self._ports)
        host = pulumi.Output.format("{0}.{1}.svc.cluster.local", service, pipeline.namespace)
        self._identities, self._peer_identity = self._certificates(host), self._peer_certificate()
        nodes = self._nodes(workload)
        scheme, port = ("http", HTTP) if self._identities is None else ("https", proxy.HTTPS)
        address = pulumi.Output.format("{0}://{1}:{2}", scheme, host, port)
        # The nodes' name is an input, so that clients change to their new ports once all of them listen there.
        self._ready = k.available_after(address, nodes.metadata.name)
        job = self._template_job()
        if self._section.replicas > 1:
            self._never_again(workload, job)
        self._retention()
        self.url = k.available_after(self._ready, job.metadata.name)
        self.register_outputs({"url": self.url})

    @property
    def public(self) -> Mapping[str, pulumi.Output[str]]:
        """The certificates that were made so far, without their keys, by name (ElasticsearchIdentities,
        ElasticsearchPeerIdentity)."""
        return {
            **(self._identities.public if self._identities else {}),
            **(self._peer_identity.public if self._peer_identity else {}),
        }

    def client(self, identity: str, namespace: pulumi.Input[str] | None = None) -> Access:
        """What pods need to ask Elasticsearch as `identity`, one of CLIENTS, once the template is installed; their
        namespace is the pipeline's, unless given."""
        return self._access(identity, self.url, namespace)

    def _access(self, identity: str, url: pulumi.Output[str], namespace: pulumi.Input[str] | None = None) -> Access:
        variables: dict[str, pulumi.Input[str]] = {"ARGUS_ELASTICSEARCH_URL": url}
        if self._identities is None:
            return Access(url=url, variables=variables)
        held = self._identities.client(identity, namespace)
        return Access(
            url=url,
            variables=variables | {"ARGUS_ELASTICSEARCH_TLS_DIR": DIR},
            mounts=held.mounts,
            volumes=held.volumes,
            contents=held.contents,
        )

    def _certificates(self, host: pulumi.Input[str]) -> ElasticsearchIdentities | None:
        """Those of nodes and clients; None where nodes answer in plain alone."""
        if self._section.transport == "plain":
            return None
        args = ElasticsearchIdentitiesArgs(
            namespace=self._pipeline.namespace, host=host, section=self._pipeline.settings.pod_secrets
        )
        return ElasticsearchIdentities(f"{self._name}-identities", args, pulumi.ResourceOptions(parent=self))

    def _peer_certificate(self) -> ElasticsearchPeerIdentity | None:
        """That of nodes among themselves; None where they have no proxy for that."""
        if not peers.wanted(self._section):
            return None
        args = ElasticsearchPeerIdentityArgs(
            namespace=self._pipeline.namespace, section=self._pipeline.settings.pod_secrets
        )
        return ElasticsearchPeerIdentity(f"{self._name}-peer-identity", args, pulumi.ResourceOptions(parent=self))

    def _nodes(self, workload: k.Workload) -> apps.v1.StatefulSet:
        name, section, audit = self._name, self._section, self._pipeline.settings.audit.ship
        held = None if self._identities is None else self._identities.nodes
        peer = None if self._peer_identity is None else self._peer_identity.held
        files: dict[str, pulumi.Input[str]] = {
            "elasticsearch.yml": pulumi.Output.from_input(workload.namespace).apply(
                lambda ns: elasticsearch_yml(ns, section, audit=audit)
            ),
            **(proxy.files(HTTP) if held else {}),
            **(peers.files(f"{name}-peer", workload, section.replicas) if peer else {}),
        }
        config = k.config_map(f"{name}-config", workload, files)
        own_ports = {**self._ports, **peers.ports(section)}
        governing = k.headless_service(f"{name}-peers", workload.named("elasticsearch-nodes"), own_ports)
        k.disruption_budget(f"{name}-budget", workload)
        # With the proxy, a node is ready only if the proxy is.
        alive, probed = (proxy.HEALTH, proxy.PROBES) if held else (ALIVE, HTTP)
        container = core.v1.ContainerArgs(
            name="elasticsearch",
            image=self._pipeline.images["elasticsearch"],
            env=[
                k.env("ES_JAVA_OPTS", self._java_options()),
                # The official image enables security by default; here the proxy is who lets clients in (ADR 48).
                k.env("xpack.security.enabled", "false"),
                # Both images take such a variable for a setting, before that of elasticsearch.yml.
                *([k.env_if_there(_INITIAL_MASTERS, FORMED)] if section.replicas > 1 else []),
                *([k.env_field(peers.INDEX, f"metadata.labels['{k.POD_INDEX}']")] if peer else []),
            ],
            ports=k.container_ports({name: port for name, port in own_ports.items() if port in (HTTP, peers.NODE)}),
            resources=k.resources_of(section.memory, cpu="50m"),
            # The server writes its keystore and unpacked libraries beside its configuration.
            security_context=k.container_security(read_only_root=False),
            startup_probe=k.http_probe(alive, probed, period=5, failures=180),
            readiness_probe=k.http_probe(alive, probed),
            liveness_probe=self._liveness(),
            volume_mounts=[
                k.mount("data", f"{HOME}/data"),
                k.mount("config", f"{HOME}/config/elasticsearch.yml", read_only=True, sub_path="elasticsearch.yml"),
                k.mount("tmp", "/tmp"),
            ],
        )
        beside = [(each, certificate) for each, certificate in ((proxy, held), (peers, peer)) if certificate]
        return k.stateful_set(
            f"{name}-nodes",
            workload,
            container,
            [
                k.config_volume(config),
                k.scratch_volume(),
                *(volume for each, own in beside for volume in each.volumes(own)),
            ],
            beside=[each.container(self._pipeline.images[proxy.IMAGE.name], own) for each, own in beside],
            contents=[files, *(content for _, own in beside for content in own.contents)],
            service=governing,
            replicas=section.replicas,
            data=k.claim("elasticsearch", section.volume_gib, self._pipeline.settings.storage.class_name),
            grace_seconds=120,
            settle_seconds=15,
            user=USER,
        )

    def _java_options(self) -> str:
        section = self._section
        heap = k.heap_flags(section.heap_mib, share_of_mib=section.heap_share_of_mib)
        # The official image's node that listens at its loopback alone checks its machine only if it is told to.
        return f"{heap} -Des.enforce.bootstrap.checks=true" if section.between_nodes == "tls" else heap

    def _liveness(self) -> core.v1.ProbeArgs:
        """A node is restarted where it does not listen for two minutes.

        Where only its proxies can be asked, it has longer than a proxy that ends again and again waits to start (five
        minutes): that one's fault is not the node's.
        """
        section = self._section
        if section.between_nodes != "tls":
            return k.tcp_probe(peers.NODE, period=20, failures=6)
        if section.transport == "plain":
            return k.tcp_probe(HTTP, period=20, failures=6)
        return k.http_probe(proxy.ALIVE, proxy.PROBES, period=20, failures=20)

    def _never_again(self, workload: k.Workload, job: batch.v1.Job) -> None:
        """Nodes that start from now on join the cluster or wait for it.

        The job has written to the cluster, so it has formed. A node alone needs none of this: there is no other node
        that could have the data.
        """
        core.v1.ConfigMap(
            f"{self._name}-formed",
            metadata=workload.named(FORMED).metadata(),
            data=NEVER_AGAIN,
            opts=pulumi.ResourceOptions.merge(workload.opts, pulumi.ResourceOptions(depends_on=[job])),
        )

    def _template_job(self) -> batch.v1.Job:
        templates = {"results": index_template(self._section.replicas)}
        if self._pipeline.settings.audit.ship:
            templates["audit"] = audit_template(self._section.replicas)
        files = {f"{name}.json": json.dumps(template, indent=2) for name, template in templates.items()}
        # A Job does not change: one that connects in another way has another name.
        described = files if self._identities is None else {**files, "identity": TEMPLATE}
        workload = self._pipeline.workload(f"{TEMPLATE}-{k.digest(described)[:8]}", TEMPLATE_LABELS, self)
        config = k.config_map(f"{self._name}-template", workload, files)
        access = self._access(TEMPLATE, self._ready)
        container = self._tool("install", "template", *(f"{k.CONFIG_DIR}/{name}" for name in files), limit_mib=128)
        container.env = [k.env(name, value) for name, value in access.variables.items()]
        container.volume_mounts = [k.mount("config", k.CONFIG_DIR, read_only=True), *access.mounts]
        volumes = [k.config_volume(config), *access.volumes]
        return k.job(f"{self._name}-template-job", workload, container, volumes)

    def _retention(self) -> None:
        workload = self._pipeline.workload(RETENTION, RETENTION_LABELS, self)
        access = self._access(RETENTION, self._ready)
        variables: dict[str, pulumi.Input[str]] = {
            **access.variables,
            "ARGUS_RETENTION_DAYS": str(self._section.retention_days),
            "ARGUS_AUDIT_RETENTION_DAYS": str(self._pipeline.settings.audit.retention_days),
        }
        config = k.config_map(f"{self._name}-retention", workload, variables)
        container = self._tool("retention", "retention", limit_mib=192)
        container.env_from = k.env_from(config)
        container.volume_mounts = list(access.mounts) or None
        k.cron_job(f"{self._name}-retention-job", workload, container, access.volumes, schedule="17 * * * *", retries=3)

    def _tool(self, name: str, module: str, *arguments: str, limit_mib: int) -> core.v1.ContainerArgs:
        """A container that runs a module of apps/indices, which are in the consumer's image."""
        return core.v1.ContainerArgs(
            name=name,
            image=self._pipeline.images["consumer"],
            command=["python", "-m", f"apps.indices.{module}", *arguments],
            resources=k.resources(cpu="10m", memory_mib=64, limit_mib=limit_mib),
            security_context=k.container_security(),
        )


def proxies(settings: Settings) -> dict[str, sections.Memory]:
    """The memory of the proxies in a node's pod, by their containers' names."""
    section = settings.elasticsearch
    return {
        **({proxy.NAME: proxy.MEMORY} if section.transport != "plain" else {}),
        **({peers.NAME: peers.MEMORY} if peers.wanted(section) else {}),
    }


def keys_of_proxies(settings: Settings) -> list[str]:
    """The keys by which a stack asks for a proxy in a node's pod, each once."""
    section, beside = settings.elasticsearch, proxies(settings)
    of_clients, of_nodes = "elasticsearch.transport", "elasticsearch.nodeTransport"
    asked = [of_clients] if proxy.NAME in beside else []
    if peers.NAME in beside:
        asked.append(of_clients if section.node_transport is None else of_nodes)
    return list(dict.fromkeys(asked))


STAGE: Final = Stage(
    name="elasticsearch",
    section="elasticsearch",
    image=Image(name="elasticsearch"),
    kind="StatefulSet",
    memory_key="heapMiB",
    pods={"elasticsearch": LABELS, TEMPLATE: TEMPLATE_LABELS, RETENTION: RETENTION_LABELS},
    beside=proxies,
    declare=lambda pipeline: [Elasticsearch("elasticsearch", pipeline)],
)
