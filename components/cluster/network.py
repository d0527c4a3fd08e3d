"""The pods' network: routed links made by CNI plugins, and a route to each other node; no daemon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi

from components import remote
from components.cluster.machine import Machine, script

NetworkKind = Literal["built-in", "manifest"]
"""Whose network the pods are on: Argus's own, or that of the user's manifest."""


def refusal(running: str | None, wanted: NetworkKind) -> str | None:
    """Why a cluster cannot go from one kind of network to another, with the remedy; None where it need not."""
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
    """The machines of one layer-2 network, and the pods' addresses."""

    machines: Sequence[Machine]
    ssh: remote.Ssh
    endpoint: str
    pod_network: str


class Network(pulumi.ComponentResource):
    """Asks the cluster for each node's share of the pod network, then sets CNI, routes and masquerading everywhere.

    The link is CNI's `ptp`, not `bridge`: pods of one machine then reach each other through the kernel's routing, so
    that services work without br_netfilter. It does not own network policies: nothing here enforces them, so that every
    pod reaches every other whatever policies there are. A network that does comes by NetworkManifest instead.
    """

    ready: Sequence[pulumi.Resource]
    """To depend on: pods of every machine reach one another."""

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
    """The CNI configuration; the machine fills in its own network."""
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
