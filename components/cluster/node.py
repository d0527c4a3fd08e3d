"""A machine becomes a node: the same component for every control plane and every worker."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster.kubeadm import KubeadmArgs, init_config, join_config
from components.cluster.machine import Machine, program, script


@dataclass(frozen=True, kw_only=True)
class NodeArgs:
    """The machine and what it joins."""

    machine: Machine
    ssh: remote.Ssh
    kubeadm: KubeadmArgs
    control_plane: bool
    bootstrap: bool = False
    """The cluster starts here if there is none yet; nothing else distinguishes this machine."""


class Node(pulumi.ComponentResource):
    """Invites the machine and lets it join. Leaving is Removal's.

    The invitation is asked of the endpoint's address: keepalived keeps it with a living control plane, whichever
    that is. It is empty where no cluster is yet. A dead node of the same name at another address is forgotten first.
    The invitation travels as a secret output, to standard input, and lives two hours.
    """

    joined: pulumi.Resource
    """To depend on: the node is a member."""

    def __init__(self, name: str, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:ControlPlane" if args.control_plane else "argus:cluster:Worker", name, {}, opts)
        kubeadm = args.kubeadm
        invitation = remote.command(
            f"{name}-invitation",
            host=kubeadm.endpoint,
            ssh=args.ssh,
            create=script(
                "invitation.sh",
                joining=args.machine.name,
                address=args.machine.address,
                control_plane=args.control_plane,
                version=kubeadm.kubernetes_version,
            ),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.joined = remote.command(
            f"{name}-joined",
            host=args.machine.address,
            ssh=args.ssh,
            create=script(
                "node.sh",
                name=args.machine.name,
                virtual_ip=kubeadm.endpoint,
                port=kubeadm.endpoint_port,
                bootstrap=args.bootstrap,
                control_plane=args.control_plane,
                init_config=init_config(kubeadm, args.machine) if args.control_plane else "",
                join_config=join_config(kubeadm, args.machine, control_plane=args.control_plane),
                audit_policy=program("audit-policy.yaml") if args.control_plane else "",
            ),
            stdin=pulumi.Output.secret(invitation.stdout),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
