"""The namespace of the pipeline."""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import meta, scheduling

from components import kubernetes as k


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """Arguments of Namespace."""

    kubernetes_version: str
    """The cluster's version, whose rules of Pod Security hold."""
    name: str = "argus"


class Namespace(pulumi.ComponentResource):
    """A namespace that admits only pods of the `restricted` profile, and a priority class for services that hold data.

    Because of the priority, a node under pressure evicts pods that can run anywhere before pods bound to its volumes.
    """

    name: pulumi.Output[str]

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Namespace", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = k.namespace(f"{name}-namespace", args.name, args.kubernetes_version, child)
        priority = scheduling.v1.PriorityClass(
            f"{name}-state-priority",
            metadata=meta.v1.ObjectMetaArgs(name=k.STATE_PRIORITY, labels={"app.kubernetes.io/part-of": "argus"}),
            value=1000,
            global_default=False,
            preemption_policy="Never",
            description="Services that hold the pipeline's data on a node's own volume.",
            opts=child,
        )
        # The name waits for both, because pods of this priority are refused until the class exists.
        self.name = k.available_after(namespace, priority.metadata.name)
        self.register_outputs({"name": self.name})
