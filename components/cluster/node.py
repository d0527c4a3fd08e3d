"""A machine becomes a node: the same component for every control plane and every worker."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster.kubeadm import init_config, join_config
from components.cluster.machine import Machine, program, script, script_from_here
from components.config import Cluster


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """The machine and what it joins."""

    machine: Machine
    ssh: remote.Ssh
    cluster: Cluster
    control_plane: bool
    bootstrap: bool = False
    """The cluster starts here if there is none yet; nothing else distinguishes this machine."""


class Node(pulumi.ComponentResource):
    """Invites the machine and lets it join. Leaving is Removal's.

    The invitation is asked of the endpoint's address: keepalived keeps it with a living control plane, whichever
    that is. It is empty where no cluster is yet. A dead node of the same name at another address is forgotten first;
    a machine whose host key has changed, and that is no member by its own word, is invited anew.
    The invitation travels as a secret output, to standard input, and lives two hours.
    """

    joined: pulumi.Resource
    """To depend on: the node is a member."""

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
            # Another host key may mean another disk, and then it is no member any more.
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
