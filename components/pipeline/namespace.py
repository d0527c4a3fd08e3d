"""The namespace of the pipeline."""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import core, meta, scheduling

from components.kubernetes import STATE_PRIORITY, available_after


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """Arguments of Namespace."""

    kubernetes_version: str
    """The cluster's version. Pod security uses the rules of its minor version, so they change only with an upgrade."""
    name: str = "argus"


def pod_security(profile: str, kubernetes_version: str) -> dict[str, str]:
    """The labels of a namespace that admits pods of this profile, by the rules of the version's minor version."""
    minor = ".".join(kubernetes_version.split(".")[:2])
    labels: dict[str, str] = {}
    for level in ("enforce", "warn", "audit"):
        labels[f"pod-security.kubernetes.io/{level}"] = profile
        labels[f"pod-security.kubernetes.io/{level}-version"] = f"v{minor}"
    return labels


class Namespace(pulumi.ComponentResource):
    """A namespace that admits only pods of the `restricted` profile, and a priority class for services that hold data.

    Because of the priority, a node under pressure evicts pods that can run anywhere before pods bound to its volumes.
    """

    name: pulumi.Output[str]

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Namespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        security = pod_security("restricted", args.kubernetes_version)
        namespace = core.v1.Namespace(
            f"{name}-namespace",
            metadata=meta.v1.ObjectMetaArgs(
                name=args.name,
                labels={"app.kubernetes.io/part-of": "argus", **security},
            ),
            opts=child,
        )
        priority = scheduling.v1.PriorityClass(
            f"{name}-state-priority",
            metadata=meta.v1.ObjectMetaArgs(name=STATE_PRIORITY, labels={"app.kubernetes.io/part-of": "argus"}),
            value=1000,
            global_default=False,
            preemption_policy="Never",
            description="Services that hold the pipeline's data on a node's own volume.",
            opts=child,
        )
        # The name waits for both, because pods of this priority are refused until the class exists.
        self.name = available_after(namespace.metadata.name, priority.metadata.name)
        self.register_outputs({"name": self.name})
