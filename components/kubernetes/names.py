"""Names, labels and selectors of objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
from pulumi_kubernetes import meta

POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
"""The label by which Kubernetes tells the pods of a StatefulSet apart."""
POD_INDEX: Final = "apps.kubernetes.io/pod-index"
"""The label with a pod's number in its StatefulSet, from 0 on."""


@dataclass(frozen=True)
class Workload:
    """What the objects of one workload share."""

    name: pulumi.Input[str]
    namespace: pulumi.Input[str]
    labels: Mapping[str, str]
    opts: pulumi.ResourceOptions
    """Options of its Pulumi resources, such as the component that is their parent."""

    def named(self, name: pulumi.Input[str]) -> Workload:
        """For those of its objects that have another name."""
        return replace(self, name=name)

    def metadata(self, annotations: Mapping[str, str] | None = None) -> meta.v1.ObjectMetaArgs:
        """The metadata of its objects."""
        return metadata(self.name, self.namespace, self.labels, annotations)


def labels(name: str, component: str) -> dict[str, str]:
    """Kubernetes' recommended labels for one workload."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "argus",
    }


def metadata(
    name: pulumi.Input[str],
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> meta.v1.ObjectMetaArgs:
    """The metadata of a namespaced object with a fixed name."""
    return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labelled), annotations=annotations)


def selector(labelled: Mapping[str, str]) -> meta.v1.LabelSelectorArgs:
    """A selector of the pods with the labels `labelled`."""
    return meta.v1.LabelSelectorArgs(match_labels=dict(labelled))


def pod_dns(pod: str, service: str, namespace: str) -> str:
    """The full DNS name of a StatefulSet's pod. It has five dots, so the resolver tries it before any search domain."""
    return f"{pod}.{service}.{namespace}.svc.cluster.local"


def addresses(service: str, namespace: str, replicas: int, port: int) -> str:
    """The pods of a StatefulSet that has its service's name, as `host:port,…`."""
    return ",".join(f"{pod_dns(f'{service}-{n}', service, namespace)}:{port}" for n in range(replicas))


def available_after(value: pulumi.Input[str], *outputs: pulumi.Input[Any]) -> pulumi.Output[str]:
    """`value`, but available only once the resources with these outputs are ready."""
    return pulumi.Output.all(value, *outputs).apply(lambda values: str(values[0]))
