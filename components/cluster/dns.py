"""Cluster DNS that survives the failure of one machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi

from components import remote
from components.cluster.machine import script


@dataclass(frozen=True, kw_only=True)
class DnsArgs:
    """The cluster's endpoint, and the number of CoreDNS pods."""

    ssh: remote.Ssh
    endpoint: str
    replicas: int
    kubernetes_version: str
    """A change makes this run again, because kubeadm's upgrade resets CoreDNS."""


class Dns(pulumi.ComponentResource):
    """Spreads kubeadm's CoreDNS over machines. No delete: CoreDNS is removed with the cluster."""

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Dns", name, {}, opts)
        remote.ask(
            f"{name}-spread",
            host=args.endpoint,
            ssh=args.ssh,
            create=script("dns.sh", patch=json.dumps(_patch(args.replicas)), version=args.kubernetes_version),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _patch(replicas: int) -> dict[str, Any]:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        # Counts only the pods of one rollout, so that a new pod may start on an old pod's machine.
        "matchLabelKeys": ["pod-template-hash"],
    }
    return {"spec": {"replicas": replicas, "template": {"spec": {"topologySpreadConstraints": [spread]}}}}
