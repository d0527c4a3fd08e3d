"""Names, labels and selectors of objects."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import meta


def labels(name: str, component: str) -> dict[str, str]:
    """The recommended labels of one workload."""
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
    """Selects the pods that carry `labelled`."""
    return meta.v1.LabelSelectorArgs(match_labels=dict(labelled))


def pod_dns(pod: str, service: str, namespace: str) -> str:
    """The full name of a StatefulSet's pod: five dots, so the resolver asks for it before any search domain."""
    return f"{pod}.{service}.{namespace}.svc.cluster.local"
