"""Serving certificates of the kubelets, signed by the cluster's CA: who grants them."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import ClusterArgs, MachineArgs
from components.cluster.machine import script, unattended


class KubeletCertificates(pulumi.ComponentResource):
    """A timer on one control plane that grants the kubelets' requests, as they renew their certificates.

    Only the control plane that holds the endpoint's address does so. It grants a request only to the node that it is
    for, and only for the name and address that the stack gives that machine.
    """

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:KubeletCertificates", name, {}, opts)
        remote.command(
            f"{name}-granted",
            host=args.machine.host,
            ssh=args.ssh,
            create=script("kubelet_certificates.sh", grant=_program(args)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def _program(args: ClusterArgs) -> str:
    nodes = [f"{machine.name} {machine.host}" for machine in args.all_machines]
    return unattended(script("grant_kubelets.sh", virtual_ip=args.endpoint, nodes=nodes))
