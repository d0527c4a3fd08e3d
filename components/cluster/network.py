"""Argus's own pod network: routed links made by CNI plugins, and a route to every other node; no daemon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi

from components import remote
from components.cluster.machine import Machine, script

NetworkKind = Literal["built-in", "manifest"]
"""The kind of pod network: Argus's own, or the one in the user's manifest."""


def refusal(running: str | None, wanted: NetworkKind) -> str | None:
    """Why a cluster cannot change its kind of network, with the remedy; None where the kind stays the same."""
    if running in {None, wanted}:
        return None
    has, back = (
        ("its own manifest's", "set its manifest") if running == "manifest" else ("Argus's own", "remove the key")
    )
    return (
        f"argus:cluster.network: the cluster's network is {has}, and its pods cannot change to another while it lives; "
        f"{back} again, or `pulumi destroy` first"
    )


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """The machines, which share a layer-2 network, and the pods' CIDR."""

    machines: Sequence[Machine]
    ssh: remote.Ssh
    endpoint: str
    pod_network: str


class Network(pulumi.ComponentResource):
    """Reads each node's pod CIDR from the cluster, then configures CNI, routes and masquerading on every machine.

    It uses CNI's `ptp` plugin, not `bridge`: pods of one machine then reach each other through the kernel's routing, so
    that services work without br_netfilter. It does not enforce network policies: every pod reaches every other. For a
    network that enforces them, use NetworkManifest.
    """

    ready: Sequence[pulumi.Resource]
    """Depend on these to run after pods on all machines reach one another."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Network", name, {}, opts)
        networks = remote.ask(
            f"{name}-node-networks",
            host=args.endpoint,
            ssh=args.ssh,
            create=script(
                "node_networks.sh", machines=[f"{machine.name} {machine.address}" for machine in args.machines]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ready = [
            remote.command(
                f"{name}-{machine.name}",
                host=machine.address,
                ssh=args.ssh,
                create=script("network.sh", name=machine.name, pod_network=args.pod_network, cni=cni_config()),
                stdin=networks.stdout,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for machine in args.machines
        ]
        self.register_outputs({})


def cni_config() -> str:
    """The CNI configuration, as JSON; network.sh replaces @NETWORK@ with the node's pod CIDR."""
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "argus",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": "@NETWORK@"}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=2,
    )
