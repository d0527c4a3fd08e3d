"""What happens when a machine leaves the stack: it is drained, taken out of the cluster, and left as it was found."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster.machine import Machine, script, script_from_here
from components.cluster.storage import VOLUMES_ROOT


@dataclass(frozen=True, kw_only=True)
class RemovalArgs:
    """The machine, and where the rest of the cluster is reached."""

    machine: Machine
    ssh: remote.Ssh
    endpoint: str
    server: str
    """URL of the API: a machine of any other cluster is left alone."""
    control_plane: bool


class Removal(pulumi.ComponentResource):
    """Undoes everything that Argus did to one machine, in the opposite order, and makes the cluster forget it.

    Every step on the machine depends on this, so it is there before the first of them and deleted after the last. The
    steps have no `delete` of their own: a Command whose host is dead cannot be deleted, and a dead machine is what one
    most wants to remove. So this one runs on the computer that runs Pulumi, which can tell a machine that does not
    answer from one that refuses. A machine at another address is another machine: the old one is then undone.
    """

    undo: pulumi.Resource
    """To depend on, for all that is done on the machine."""

    def __init__(self, name: str, args: RemovalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Removal", name, {}, opts)
        machine, ssh = args.machine, args.ssh
        self.undo = remote.command_from_here(
            f"{name}-undo",
            ssh=ssh,
            hosts=[machine.address, args.endpoint],
            delete=script_from_here(
                "removal.sh",
                node=machine.name,
                host=machine.address,
                endpoint=args.endpoint,
                undo=_undo(args).render(ssh.user),
                forget=script("forget.sh", node=machine.name, address=machine.address).render(ssh.user),
            ),
            triggers=[machine.address],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


class Drain(pulumi.ComponentResource):
    """Moves a machine's pods to others, in step with their disruption budgets, when the machine leaves the stack.

    Local volumes cannot move. The machine's are given up: a stateful pod starts with an empty one elsewhere, and its
    service copies its data there from the other members. It must depend on the volumes, to be deleted before them.
    """

    drained: pulumi.Resource
    """To depend on, for what must be gone before the machine is drained."""

    def __init__(self, name: str, args: RemovalArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Drain", name, {}, opts)
        self.drained = remote.ask(
            f"{name}-on-removal",
            host=args.endpoint,
            ssh=args.ssh,
            delete=script("drain.sh", node=args.machine.name),
            opts=pulumi.ResourceOptions(
                parent=self,
                custom_timeouts=pulumi.CustomTimeouts(delete="20m"),
                # It was one: to replace it would drain a machine that stays.
                aliases=[pulumi.Alias(type_="command:remote:Command")],
            ),
        ).command
        self.register_outputs({})


def _undo(args: RemovalArgs) -> remote.Script:
    endpoint = ["endpoint_delete.sh"] if args.control_plane else []
    timers = ["backup_delete.sh", "certificates_delete.sh"] if args.control_plane else []
    return script(
        "undo.sh",
        *timers,
        "network_delete.sh",
        "node_delete.sh",
        "network_manifest_delete.sh",
        "volumes_delete.sh",
        "container_runtime_delete.sh",
        *endpoint,
        "packages_delete.sh",
        server=args.server,
        control_plane=args.control_plane,
        root=VOLUMES_ROOT,
    )
