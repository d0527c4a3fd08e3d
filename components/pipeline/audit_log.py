"""The API servers' audit log in Elasticsearch: a Filebeat on each control plane, if the stack asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apps, core, meta, networking

from apps.messages.names import audit_index
from components import kubernetes as k
from components.cluster.kubeadm import AUDIT_LOGS
from components.config import sections
from components.pipeline import elasticsearch
from components.pipeline.dns import NAMESPACE_NAME, dns_rule
from components.pipeline.elasticsearch import Elasticsearch
from components.pipeline.elasticsearch_grants import AUDIT
from components.pipeline.filebeat import SEARCH_TLS
from components.pipeline.stage import Pipeline

NAMESPACE: Final = AUDIT
LABELS: Final = k.labels("audit-log", "shipper")
ROOT: Final = 0
"""The audit log's only reader."""

_CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_IDENTITY: Final = (
    "function process(event) { event.Put('@metadata._id', "
    "event.Get('kubernetes.audit.auditID') + '/' + event.Get('kubernetes.audit.stage')); }"
)
"""One document for each line, however often it is read."""


def filebeat_yml(elasticsearch_url: str, search_tls: Mapping[str, Any] | None = None) -> str:
    """Filebeat's configuration, as JSON (a subset of YAML).

    Which lines were sent is forgotten with the pod, so those of the last days are then read again; Elasticsearch
    refuses those that it has. `search_tls` is filebeat.SEARCH_TLS; None: it connects in plain.
    """
    config: dict[str, Any] = {
        "name": "${NODE_NAME}",
        "filebeat.inputs": [
            {
                "type": "filestream",
                "id": "audit",
                # Also those that the API server has put aside, which have a time in their names.
                "paths": [f"{AUDIT_LOGS}/audit*.log"],
                "ignore_older": "48h",
            }
        ],
        "processors": [
            {"decode_json_fields": {"fields": ["message"], "target": "kubernetes.audit"}},
            # A line cut short by a full disk is none.
            {"drop_event": {"when": {"not": {"has_fields": ["kubernetes.audit.auditID"]}}}},
            {
                "timestamp": {
                    "field": "kubernetes.audit.requestReceivedTimestamp",
                    "layouts": ["2006-01-02T15:04:05.999999Z07:00"],
                }
            },
            {"script": {"lang": "javascript", "source": _IDENTITY}},
            {"drop_fields": {"fields": ["message", "input", "agent", "ecs", "log"], "ignore_missing": True}},
        ],
        "output.elasticsearch": {
            "hosts": [elasticsearch_url],
            "index": audit_index("%{+yyyy.MM.dd}"),
            "worker": 1,
            **(search_tls or {}),
        },
        "setup.template.enabled": False,
        "setup.ilm.enabled": False,
        "queue.mem": {"events": 1024, "flush.min_events": 64, "flush.timeout": "5s"},
        "path.logs": "/tmp",
        "logging.to_files": False,
        "logging.to_stderr": True,
        "logging.metrics.enabled": False,
    }
    return json.dumps(config, indent=2) + "\n"


class AuditLog(pulumi.ComponentResource):
    """One pod on each control plane, in a namespace of its own, which may mount a machine's folder.

    The pods run as root, because nobody else may read the log, but without any capability, and may write nothing on
    the machine. Only Elasticsearch and DNS are open to them where policies are enforced.
    """

    def __init__(self, name: str, pipeline: Pipeline) -> None:
        super().__init__("argus:pipeline:AuditLog", name, None, pipeline.opts)
        child = pulumi.ResourceOptions(parent=self)
        version = pipeline.settings.cluster.kubernetes_version
        namespace = k.namespace(f"{name}-namespace", NAMESPACE, version, child, profile="privileged")
        workload = k.Workload("audit-log", namespace, LABELS, child)
        policy = self._policy(name, workload, pipeline.namespace, pipeline.settings.elasticsearch.transport)
        search = pipeline.one(Elasticsearch).client(AUDIT, namespace)
        search_tls = SEARCH_TLS if search.volumes else None
        files = {"filebeat.yml": search.url.apply(lambda url: filebeat_yml(url, search_tls))}
        config = k.config_map(f"{name}-config", workload, files)
        container = core.v1.ContainerArgs(
            name="filebeat",
            image=pipeline.images["filebeat"],
            command=["filebeat", "-e", "--strict.perms=false", "-c", f"{k.CONFIG_DIR}/filebeat.yml"],
            env=[k.env_field("NODE_NAME", "spec.nodeName")],
            resources=k.resources_of(pipeline.settings.audit.memory, cpu="10m"),
            security_context=k.container_security(),
            volume_mounts=[
                k.mount("config", k.CONFIG_DIR, read_only=True),
                k.mount("log", AUDIT_LOGS, read_only=True),
                *search.mounts,
                k.mount("data", "/usr/share/filebeat/data"),
                k.mount("tmp", "/tmp"),
            ],
        )
        log = core.v1.VolumeArgs(
            name="log", host_path=core.v1.HostPathVolumeSourceArgs(path=AUDIT_LOGS, type="DirectoryOrCreate")
        )
        apps.v1.DaemonSet(
            f"{name}-pods",
            metadata=workload.metadata(k.AT_ONCE),
            spec=apps.v1.DaemonSetSpecArgs(
                selector=k.selector(LABELS),
                revision_history_limit=1,
                template=core.v1.PodTemplateSpecArgs(
                    metadata=k.template_metadata(LABELS, [files, *search.contents]),
                    spec=core.v1.PodSpecArgs(
                        automount_service_account_token=False,
                        enable_service_links=False,
                        node_selector={_CONTROL_PLANE: ""},
                        tolerations=[
                            core.v1.TolerationArgs(key=_CONTROL_PLANE, operator="Exists", effect="NoSchedule")
                        ],
                        security_context=core.v1.PodSecurityContextArgs(
                            run_as_user=ROOT,
                            run_as_group=ROOT,
                            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
                        ),
                        termination_grace_period_seconds=10,
                        containers=[container],
                        volumes=[
                            k.config_volume(config),
                            log,
                            *search.volumes,
                            k.scratch_volume("data"),
                            k.scratch_volume(),
                        ],
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy])),
        )
        self.register_outputs({})

    def _policy(
        self,
        name: str,
        workload: k.Workload,
        pipelines: pulumi.Input[str],
        transport: sections.SearchTransport,
    ) -> networking.v1.NetworkPolicy:
        """The namespace's only connections; Elasticsearch's own policy lets them in (network_policies.py)."""
        search = networking.v1.NetworkPolicyPeerArgs(
            namespace_selector=meta.v1.LabelSelectorArgs(match_labels={NAMESPACE_NAME: pipelines}),
            pod_selector=k.selector(elasticsearch.LABELS),
        )
        ports = [
            networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP")
            for port in elasticsearch.ports(transport).values()
        ]
        return networking.v1.NetworkPolicy(
            f"{name}-policy",
            metadata=workload.metadata(),
            spec=networking.v1.NetworkPolicySpecArgs(
                pod_selector=meta.v1.LabelSelectorArgs(),
                policy_types=["Ingress", "Egress"],
                egress=[networking.v1.NetworkPolicyEgressRuleArgs(to=[search], ports=ports), dns_rule()],
            ),
            opts=workload.opts,
        )
