"""Automatic renewal of the control plane's certificates before they expire."""

from __future__ import annotations

from typing import Final

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.machine import program, script

RENEWAL_DAYS: Final = 90
"""Renew this many days before expiry. kubeadm's certificates last a year, so a renewal may fail for three months."""
RENEWAL: Final = ("functions/basics.sh", "functions/static_pods.sh", "renew_certificates.sh")
"""The files of the program that the timer starts."""


class Certificates(pulumi.ComponentResource):
    """Renews the certificates that kubeadm signed for one control plane, but not the CA (ten years) or kubelets'."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Certificates", name, {}, opts)
        remote.command(
            f"{name}-renewed",
            host=args.machine.host,
            ssh=args.ssh,
            create=script("certificates.sh", days=RENEWAL_DAYS, renew=program(*RENEWAL)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
