"""Argus's own pod network: routed links made by CNI plugins, and a route to every other node; no daemon."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi

from components import remote
from components.cluster.args import ClusterArgs, NetworkKind
from components.cluster.machine import script


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


class Network(pulumi.ComponentResource):
    """Reads each node's pod CIDR from the cluster, then sets CNI, routes, masquerading and a guard on every machine.

    It uses CNI's `ptp` plugin, not `bridge`: pods of one machine then reach each other through the kernel's routing, so
    that services work without br_netfilter. The guard drops what hosts outside the cluster send to pods and services,
    and connections to the page at other addresses than the virtual IP.
    Every pod reaches every other, unless PolicyAgent enforces network policies.
    """

    ready: Sequence[pulumi.Resource]
    """Depend on these to run after pods on all machines reach one another."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Network", name, {}, opts)
        addresses = [f"{machine.name} {machine.address}" for machine in args.all_machines]
        networks = remote.ask(
            f"{name}-node-networks",
            host=args.endpoint,
            ssh=args.ssh,
            create=script("node_networks.sh", machines=addresses),
            opts=pulumi.ResourceOptions(parent=self),
        )
        cluster = args.cluster
        self.ready = [
            remote.command(
                f"{name}-{machine.name}",
                host=machine.host,
                ssh=args.ssh,
                create=script(
                    "network.sh",
                    name=machine.name,
                    pod_network=str(cluster.pod_network),
                    service_network=str(cluster.service_network),
                    endpoint=args.endpoint,
                    page_port=str(args.page_port),
                    policies="enforced" if cluster.enforces_policies else "declared",
                    cni=cni_config(),
                ),
                stdin=networks.stdout,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for machine in args.all_machines
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
