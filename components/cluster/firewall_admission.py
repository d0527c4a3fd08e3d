"""Lets the stack's machines through the host firewalls of control planes before new ones join."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import ClusterArgs, MachineArgs
from components.cluster.host_firewall import lines
from components.cluster.machine import script


class FirewallAdmission(pulumi.ComponentResource):
    """Adds machines to the list of one control plane's host firewall, where it has one.

    Nobody is taken out yet. Who is no machine of the stack any more is marked, such as one whose join failed, and is
    taken out once it is no node.

    A new control plane reaches etcd and the kubelets of the others, and they reach its own, as it has no firewall yet.
    Where the API is not for everybody, a new worker is let in as well. Otherwise workers are not listed here, so that
    another worker runs nothing on a control plane that may be dead.
    """

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:FirewallAdmission", name, {}, opts)
        remote.command(
            f"{name}-admitted",
            host=args.machine.host,
            ssh=args.ssh,
            create=admission_of(args),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def admission_of(args: ClusterArgs) -> remote.Script:
    """What lets the stack's machines in at a control plane."""
    workers = bool(args.cluster.api_clients)
    joining = args.all_machines if workers else args.machines.control_planes
    return script("firewall_admission.sh", machines=lines(joining), workers=workers)
