"""Certificates that are renewed before they expire, without a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi

from components import remote
from components.cluster.machine import Machine, program, script

RENEWAL_DAYS: Final = 90
"""Of kubeadm's year: three months in which a renewal may fail before anything expires."""


@dataclass(frozen=True, kw_only=True)
class CertificatesArgs:
    """One control plane."""

    machine: Machine
    ssh: remote.Ssh


class Certificates(pulumi.ComponentResource):
    """Renews what kubeadm signed for one control plane. The authority itself (ten years) and kubelets are not its."""

    def __init__(self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Certificates", name, {}, opts)
        remote.command(
            f"{name}-renewed",
            host=args.machine.address,
            ssh=args.ssh,
            create=script("certificates.sh", days=RENEWAL_DAYS, renew=program("renew_certificates.sh")),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
