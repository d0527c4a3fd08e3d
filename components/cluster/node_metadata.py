"""The labels and taints that the stack gives its machines."""

from __future__ import annotations

import hashlib

import pulumi

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.machine import script
from components.config import Machine


class NodeMetadata(pulumi.ComponentResource):
    """Sets labels and taints, and removes those no longer in the stack. No delete: they are removed with their node."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:NodeMetadata", name, {}, opts)
        remote.ask(
            f"{name}-set",
            host=args.endpoint,
            ssh=args.ssh,
            create=script("node_metadata.sh", metadata=[line(machine) for machine in args.all_machines]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def line(machine: Machine) -> str:
    """The line of one machine in the METADATA of node_metadata.sh."""
    labels = [f"label {key}={value}" for key, value in sorted(machine.labels.items())]
    # A replaced machine, or one with a new disk, has lost its labels: the digest makes the script run again.
    which = hashlib.sha256(f"{machine.address} {machine.host_key}".encode()).hexdigest()[:12]
    return " ".join([machine.name, which, *labels, *(f"taint {taint}" for taint in sorted(machine.taints))])
