"""The software of one machine: Debian packages, the Kubernetes binaries, kernel settings, the kubelet's service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi

from components import remote
from components.cluster.machine import Machine, script
from components.config import Cluster

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


@dataclass(frozen=True, kw_only=True)
class PackagesArgs:
    """One machine, and the source and version of its software."""

    machine: Machine
    ssh: remote.Ssh
    cluster: Cluster
    control_plane: bool
    server: str
    """URL of the API of this cluster, recorded on the machine."""


class Packages(pulumi.ComponentResource):
    """Installs the packages that are missing; Removal's undo removes only what this installed."""

    def __init__(self, name: str, args: PackagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Packages", name, {}, opts)
        remote.command(
            f"{name}-installed",
            host=args.machine.address,
            ssh=args.ssh,
            create=script(
                "packages.sh",
                packages=_EVERYWHERE + (_CONTROL_PLANE if args.control_plane else ()),
                binaries=args.cluster.binaries.rstrip("/"),
                server=args.server,
                version=args.cluster.kubernetes_version,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
