"""Lets the stack's machines through the host firewalls of control planes before new ones join."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.host_firewall import lines
from components.cluster.machine import script


class FirewallAdmission(pulumi.ComponentResource):
    """Adds machines to the list of one control plane's host firewall, where it has one; nobody is taken out.

    A new control plane reaches etcd and the kubelets of the others, and they reach its own, as it has no firewall yet.
    Where the API is not for everybody, a new worker is let in as well. Otherwise workers are not listed here, so that
    another worker runs nothing on a control plane that may be dead.
    """

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:FirewallAdmission", name, {}, opts)
        joining = args.all_machines if args.cluster.api_clients else args.machines.control_planes
        remote.command(
            f"{name}-admitted",
            host=args.machine.host,
            ssh=args.ssh,
            create=script("firewall_admission.sh", machines=lines(joining)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
