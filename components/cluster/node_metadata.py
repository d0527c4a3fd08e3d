"""The labels and taints that the stack gives its machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster.machine import Machine, script


@dataclass(frozen=True, kw_only=True)
class NodeMetadataArgs:
    """The machines with their labels and taints."""

    machines: Sequence[Machine]
    ssh: remote.Ssh
    endpoint: str


class NodeMetadata(pulumi.ComponentResource):
    """Sets labels and taints, and removes those that the stack no longer gives. No delete: they go with their node."""

    def __init__(self, name: str, args: NodeMetadataArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:NodeMetadata", name, {}, opts)
        remote.ask(
            f"{name}-set",
            host=args.endpoint,
            ssh=args.ssh,
            create=script("node_metadata.sh", metadata=[_line(machine) for machine in args.machines]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _line(machine: Machine) -> str:
    labels = [f"label {key}={value}" for key, value in sorted(machine.labels.items())]
    return " ".join([machine.name, *labels, *(f"taint {taint}" for taint in sorted(machine.taints))])
