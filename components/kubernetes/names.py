"""Names, labels and selectors of objects."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import meta


def labels(name: str, component: str) -> dict[str, str]:
    """Kubernetes' recommended labels for one workload."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "argus",
    }


def metadata(
    name: pulumi.Input[str], namespace: pulumi.Input[str], labelled: Mapping[str, str]
) -> meta.v1.ObjectMetaArgs:
    """The metadata of a namespaced object with a fixed name."""
    return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labelled))


def selector(labelled: Mapping[str, str]) -> meta.v1.LabelSelectorArgs:
    """A selector of the pods with the labels `labelled`."""
    return meta.v1.LabelSelectorArgs(match_labels=dict(labelled))


def pod_dns(pod: str, service: str, namespace: str) -> str:
    """The full DNS name of a StatefulSet's pod. It has five dots, so the resolver tries it before any search domain."""
    return f"{pod}.{service}.{namespace}.svc.cluster.local"
