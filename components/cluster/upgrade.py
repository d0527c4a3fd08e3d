"""Brings nodes to the stack's Kubernetes version and settings, one at a time."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.container_runtime import node_images
from components.cluster.kubeadm import authentication_config, init_config, kubelet_config
from components.cluster.machine import program, script, script_from_here


class Upgrade(pulumi.ComponentResource):
    """Upgrades one node, then applies the settings of its kubelet and control plane; a new machine needs no upgrade.

    One command does everything from the drain to the last pod's return, so that an interrupted upgrade is run again as
    a whole; each part first checks how far the node is. Settings need no drain: pods run on while a kubelet restarts,
    and the other control planes serve while a part of one does. They have no undo of their own, because they leave with
    the node. Dependencies between nodes give the order. Preflight checks with `refusal`, before any machine is changed,
    whether the cluster can change to the version.
    """

    upgraded: pulumi.Resource
    """The next node depends on this: the node has the wanted version and settings and is back in service."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Upgrade", name, {}, opts)
        machine, cluster, user = args.machine, args.cluster, args.ssh.options.user
        version = cluster.kubernetes_version
        upgrade = script(
            "upgrade_node.sh",
            version=version,
            binaries=cluster.binaries.rstrip("/"),
            repository=cluster.image_repository,
            checksums=cluster.checksums_of_programs,
            proxy=args.proxy,
            images=node_images(machine),
            digests=args.digests_of_images,
            control_plane=machine.control_plane,
            ignore="" if cluster.kubelet.fail_cgroup_v1 else "SystemVerification",
        )
        control_plane = machine.control_plane
        settings = script(
            "settings.sh",
            name=machine.name,
            address=machine.host,
            control_plane=control_plane,
            config=init_config(cluster, machine) if control_plane else "",
            audit_policy=program("audit-policy.yaml") if control_plane else "",
            authentication=authentication_config() if control_plane else "",
            # Workers read the kubelets' settings in the cluster: this makes another text when those change.
            kubelet=kubelet_config(cluster),
            go_max_procs=cluster.go_max_procs or "",
        )

        self.upgraded = remote.command_from_here(
            f"{name}-node",
            ssh=args.ssh,
            hosts=[machine.host, args.endpoint],
            create=script_from_here(
                "upgrade.sh",
                node=machine.name,
                host=machine.host,
                endpoint=args.endpoint,
                prepare=script("upgrade_prepare.sh", node=machine.name, version=version).render(user),
                upgrade=upgrade.render(user),
                finish=script("upgrade_finish.sh", node=machine.name, version=version).render(user),
                settings=settings.render(user),
                serving=script("serving.sh", node=machine.name, address=machine.host).render(user),
            ),
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="30m", update="30m")),
        )
        self.register_outputs({})


def refusal(running: str | None, wanted: str) -> str | None:
    """Why a cluster cannot change to the wanted version, with the remedy; None where it can or where none runs."""
    if running is None:
        return None
    old, new = _numbers(running), _numbers(wanted)
    if new < old:
        return (
            f"argus:cluster.kubernetesVersion: the cluster runs {running}, and Kubernetes does not go back to "
            f"{wanted}; set {running} or newer"
        )
    if new[:2] > (old[0], old[1] + 1):
        return (
            f"argus:cluster.kubernetesVersion: the cluster runs {running}, and on the way to {wanted} no minor "
            f"version may be skipped; set {old[0]}.{old[1] + 1}.x first"
        )
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
