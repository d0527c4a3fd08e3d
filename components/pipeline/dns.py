"""The network policies' rule by which pods find servers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pulumi_kubernetes import networking

from components import kubernetes as k

DNS_PORT: Final = 53
_NAMESPACE: Final = "kube-system"
DNS_LABELS: Final[Mapping[str, str]] = {"k8s-app": "kube-dns"}
"""Namespace and labels of kubeadm's CoreDNS pods."""

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives every namespace, with its name."""


def dns_rule() -> networking.v1.NetworkPolicyEgressRuleArgs:
    """Connections to CoreDNS are allowed."""
    dns = networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=k.selector({NAMESPACE_NAME: _NAMESPACE}), pod_selector=k.selector(DNS_LABELS)
    )
    ports = [networking.v1.NetworkPolicyPortArgs(port=DNS_PORT, protocol=protocol) for protocol in ("UDP", "TCP")]
    return networking.v1.NetworkPolicyEgressRuleArgs(to=[dns], ports=ports)
