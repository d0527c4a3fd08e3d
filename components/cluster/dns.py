"""Cluster DNS that survives the failure of one machine."""

from __future__ import annotations

import json
from typing import Any

import pulumi

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.machine import script


class Dns(pulumi.ComponentResource):
    """Spreads kubeadm's CoreDNS over machines. No delete: CoreDNS is removed with the cluster."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Dns", name, {}, opts)
        patch = json.dumps(_patch(replicas=min(2, len(args.all_machines))))
        remote.ask(
            f"{name}-spread",
            host=args.endpoint,
            ssh=args.ssh,
            # kubeadm's upgrade resets CoreDNS, so another version makes this run again.
            create=script("dns.sh", patch=patch, version=args.cluster.kubernetes_version),
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
