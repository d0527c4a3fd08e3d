"""Takes a machine out of the stack: drains it, removes it from the cluster, and restores it to its original state."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.disks import VOLUMES_ROOT
from components.cluster.machine import script, script_from_here


class Removal(pulumi.ComponentResource):
    """Undoes everything that Argus did to one machine, in reverse order, and removes its node from the cluster.

    Every step on the machine depends on this, so it is created before all steps and deleted after all of them. The
    steps have no `delete` of their own, because a remote Command on a dead host cannot be deleted, and dead machines
    are the ones most often removed. This command runs on the computer that runs Pulumi, which can tell a machine that
    does not answer from one that refuses. A changed address means a new machine: the old one is then undone.
    """

    undo: pulumi.Resource
    """Every step on the machine depends on this."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Removal", name, {}, opts)
        machine, user = args.machine, args.ssh.options.user
        self.undo = remote.command_from_here(
            f"{name}-undo",
            ssh=args.ssh,
            hosts=[machine.host, args.endpoint],
            delete=script_from_here(
                "removal.sh",
                node=machine.name,
                host=machine.host,
                endpoint=args.endpoint,
                undo=undo_script(args).render(user),
                forget=script("forget.sh", node=machine.name, address=machine.host).render(user),
            ),
            triggers=[machine.host],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


class Drain(pulumi.ComponentResource):
    """Moves a machine's pods to other machines, within their disruption budgets, when the machine leaves the stack.

    Local volumes cannot move, so the machine's are abandoned: a stateful pod starts elsewhere with an empty volume, and
    its service copies the data from other members. This must depend on the volumes, to be deleted before them.
    """

    drained: pulumi.Resource
    """Resources that must be deleted before the machine is drained depend on this."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Drain", name, {}, opts)
        self.drained = remote.ask(
            f"{name}-on-removal",
            host=args.endpoint,
            ssh=args.ssh,
            delete=script("drain.sh", node=args.machine.name),
            opts=pulumi.ResourceOptions(
                parent=self,
                custom_timeouts=pulumi.CustomTimeouts(delete="20m"),
                # It once was a remote Command; without this alias, its replacement would drain a machine that stays.
                aliases=[pulumi.Alias(type_="command:remote:Command")],
            ),
        ).command
        self.register_outputs({})


def undo_script(args: MachineArgs) -> remote.Script:
    """What undoes every step on a machine; its answer ends with `undone` where it had something to undo."""
    endpoint = ["endpoint_delete.sh"] if args.machine.control_plane else []
    timers = [f"{timer}_delete.sh" for timer in ("backup", "kubelet_certificates", "certificates")]
    return script(
        "undo.sh",
        *(timers if args.machine.control_plane else ()),
        "host_firewall_delete.sh",
        "network_delete.sh",
        "node_delete.sh",
        "network_manifest_delete.sh",
        "volumes_delete.sh",
        "container_runtime_delete.sh",
        *endpoint,
        "packages_delete.sh",
        server=args.server,
        control_plane=args.machine.control_plane,
        root=VOLUMES_ROOT,
    )
