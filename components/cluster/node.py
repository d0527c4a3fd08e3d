"""Makes a machine a node; control planes and workers use the same component."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster.kubeadm import init_config, join_config
from components.cluster.machine import Machine, program, script, script_from_here
from components.config import Cluster


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """The machine, and the cluster that it joins."""

    machine: Machine
    ssh: remote.Ssh
    cluster: Cluster
    control_plane: bool
    bootstrap: bool = False
    """Whether the cluster starts on this machine if there is none yet; the machine is not special afterwards."""


class Node(pulumi.ComponentResource):
    """Invites the machine and joins it to the cluster. Removal takes it out again.

    The invitation comes from the control plane that holds the endpoint's address; it is empty where there is no cluster
    yet. A dead node of the same name at another address is removed from the cluster first. A machine whose host key has
    changed, and that says it is not a member, gets a new invitation.
    The invitation is a secret output that the machine reads on standard input; it expires after two hours.
    """

    joined: pulumi.Resource
    """Depend on this to run after the machine has joined."""

    def __init__(self, name: str, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:ControlPlane" if args.control_plane else "argus:cluster:Worker", name, {}, opts)
        cluster, endpoint = args.cluster, str(args.cluster.endpoint)
        machine, ssh = args.machine, args.ssh
        invite = script(
            "invitation.sh",
            joining=machine.name,
            address=machine.address,
            control_plane=args.control_plane,
            version=cluster.kubernetes_version,
        )
        invitation = remote.command_from_here(
            f"{name}-invitation",
            ssh=ssh,
            hosts=[machine.address, endpoint],
            create=script_from_here(
                "invite.sh",
                node=machine.name,
                host=machine.address,
                endpoint=endpoint,
                invite=invite.render(ssh.user),
                is_member=script("is_member.sh").render(ssh.user),
            ),
            # A new host key may mean a new disk; the machine is then no longer a member.
            about=machine.address,
            secret=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.joined = remote.command(
            f"{name}-joined",
            host=machine.address,
            ssh=ssh,
            create=script(
                "node.sh",
                name=machine.name,
                virtual_ip=endpoint,
                port=cluster.endpoint_port,
                bootstrap=args.bootstrap,
                control_plane=args.control_plane,
                init_config=init_config(cluster, machine) if args.control_plane else "",
                join_config=join_config(cluster, machine, control_plane=args.control_plane),
                audit_policy=program("audit-policy.yaml") if args.control_plane else "",
            ),
            stdin=remote.printed(invitation, secret=True),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
