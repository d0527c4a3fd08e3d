"""The software of one machine: Debian packages, the Kubernetes binaries, kernel settings, the kubelet's service."""

from __future__ import annotations

from typing import Final

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.machine import script
from components.config.sections import Encryption

_EVERYWHERE: Final = (
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "curl",
    "ethtool",
    "iproute2",
    "iptables",
    "kmod",
    "nftables",
    "openssl",
    "procps",
    "runc",
    "socat",
    "util-linux",
)
_CONTROL_PLANE: Final = ("haproxy", "keepalived")
_FOR_VOLUMES: Final = ("e2fsprogs",)
"""For volumes that are file systems of their own. Debian 13 installs it only where a disk of the machine is an ext4."""
_FOR_ENCRYPTION: Final = ("cryptsetup-bin",)
"""For volumes that are encrypted."""
_FOR_TANG: Final = ("clevis",)
"""For a key of volumes that Tang servers seal."""
_FOR_COPIES: Final = ("age", "openssh-client")
"""For a control plane that sends encrypted copies of its backups."""


class Packages(pulumi.ComponentResource):
    """Installs the packages that are missing; Removal's undo removes only what this installed."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Packages", name, {}, opts)
        remote.command(
            f"{name}-installed",
            host=args.machine.host,
            ssh=args.ssh,
            create=script(
                "packages.sh",
                packages=packages_of(
                    control_plane=args.machine.control_plane,
                    bounded=args.bounded_volumes and _holds_volumes(args),
                    encryption=args.volume_encryption if _holds_volumes(args) else None,
                    copies=args.backup.copy_to is not None,
                ),
                binaries=args.cluster.binaries.rstrip("/"),
                server=args.server,
                version=args.cluster.kubernetes_version,
                checksums=args.cluster.checksums_of_programs,
                proxy=args.proxy,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def packages_of(*, control_plane: bool, bounded: bool, encryption: Encryption | None, copies: bool) -> tuple[str, ...]:
    """The Debian packages of a machine.

    `bounded` is whether it holds volumes that are file systems of their own, `encryption` how these are encrypted,
    `copies` whether the stack sends encrypted copies of its backups.
    """
    wanted: tuple[str, ...] = _EVERYWHERE
    if bounded:
        wanted += _FOR_VOLUMES
    if encryption is not None:
        wanted += _FOR_ENCRYPTION + (_FOR_TANG if encryption.tang else ())
    if control_plane:
        wanted += _CONTROL_PLANE + (_FOR_COPIES if copies else ())
    return wanted


def _holds_volumes(args: MachineArgs) -> bool:
    return bool(args.volumes_gib) and args.machine in args.schedulable_machines
