"""Makes a machine a node; control planes and workers use the same component."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.kubeadm import authentication_config, init_config, join_config
from components.cluster.machine import program, script, script_from_here


class Node(pulumi.ComponentResource):
    """Invites the machine, and joins it to the cluster once it is prepared. Removal takes it out again.

    The invitation comes from the control plane that holds the endpoint's address; it is empty where there is no cluster
    yet. A dead node of the same name at another address is removed from the cluster first. A machine whose host key has
    changed, and that says it is not a member, gets a new invitation.
    The invitation is a secret output that the machine reads on standard input; it expires after two hours.
    """

    joined: pulumi.Resource
    """Depend on this to run after the machine has joined."""

    def __init__(
        self,
        name: str,
        args: MachineArgs,
        *,
        prepared: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """The machine is invited while it is prepared, and joins after what prepares it."""
        cluster, machine, ssh = args.cluster, args.machine, args.ssh
        control_plane = machine.control_plane
        super().__init__("argus:cluster:ControlPlane" if control_plane else "argus:cluster:Worker", name, {}, opts)
        invite = script(
            "invitation.sh",
            joining=machine.name,
            address=machine.host,
            control_plane=control_plane,
            version=cluster.kubernetes_version,
        )
        invitation = remote.command_from_here(
            f"{name}-invitation",
            ssh=ssh,
            hosts=[machine.host, args.endpoint],
            create=script_from_here(
                "invite.sh",
                node=machine.name,
                host=machine.host,
                endpoint=args.endpoint,
                invite=invite.render(ssh.options.user),
                is_member=script("is_member.sh").render(ssh.options.user),
            ),
            # A new host key may mean a new disk; the machine is then no longer a member.
            about=machine.host,
            secret=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.joined = remote.command(
            f"{name}-joined",
            host=machine.host,
            ssh=ssh,
            create=script(
                "node.sh",
                name=machine.name,
                address=machine.host,
                virtual_ip=args.endpoint,
                port=cluster.endpoint_port,
                # The cluster starts on the first control plane if there is none yet; later it is like the others.
                bootstrap=machine == args.machines.control_planes[0],
                control_plane=control_plane,
                init_config=init_config(cluster, machine) if control_plane else "",
                join_config=join_config(cluster, machine),
                audit_policy=program("audit-policy.yaml") if control_plane else "",
                authentication=authentication_config() if control_plane else "",
                secrets_key=cluster.secrets_key if control_plane else "",
                go_max_procs=cluster.go_max_procs or "",
            ),
            stdin=remote.printed(invitation, secret=True),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=prepared),
        )
        self.register_outputs({})
