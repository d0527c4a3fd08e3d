"""Who may open the ports of the machines' own programs: etcd, kubelet, kube-proxy, and the API if the stack says so."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Final

import pulumi

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.kubeadm import API_PORT, ETCD_PORTS, KUBE_PROXY_PORT, KUBELET_PORT
from components.cluster.machine import script, unattended
from components.config import Machine

_NODE_PORTS: Final = (KUBELET_PORT, KUBE_PROXY_PORT)
"""Ports that every machine listens at."""


class HostFirewall(pulumi.ComponentResource):
    """Reads the cluster's nodes, then sets rules on every machine that refuse strangers; with `off`, takes them away.

    They are iptables chains of their own in a table that nobody else uses, for connections to the machine itself: what
    pods get is not looked at, and no connection that exists is cut off. FirewallAdmission lets a new machine in before
    it joins; one that has left is let in until the control planes see that it is no node any more.
    """

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:HostFirewall", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster
        nodes = None
        if cluster.host_firewall == "enforced":
            nodes = remote.ask(
                f"{name}-nodes",
                host=args.endpoint,
                ssh=args.ssh,
                create=script("host_firewall_nodes.sh", machines=lines(args.all_machines)),
                opts=child,
            ).stdout
            if reason := shut_out(address_towards(args.endpoint), cluster.api_clients):
                pulumi.log.warn(reason, self)
        for machine in args.all_machines:
            remote.command(
                f"{name}-{machine.name}",
                host=machine.host,
                ssh=args.ssh,
                create=firewall_of(args, machine),
                stdin=nodes,
                opts=child,
            )
        self.register_outputs({})


def lines(machines: Sequence[Machine]) -> list[str]:
    """`address role` of each of these machines."""
    return [f"{each.host} {'control-plane' if each.control_plane else 'worker'}" for each in machines]


def firewall_of(args: ClusterArgs, machine: Machine) -> remote.Script:
    """What sets a machine's firewall, with the cluster's nodes on standard input, or takes it away."""
    return script(
        "host_firewall.sh",
        firewall=args.cluster.host_firewall,
        name=machine.name,
        address=machine.host,
        program=_program(args, machine),
        pod_network=str(args.cluster.pod_network),
        ports=_texts((*_NODE_PORTS, *(ETCD_PORTS if machine.control_plane else ()))),
        api_clients=_api_clients(args, machine),
        direct=args.ssh.options.bastion is None,
    )


def _program(args: ClusterArgs, machine: Machine) -> str:
    return unattended(
        script(
            "firewall.sh",
            control_plane=machine.control_plane,
            pod_network=str(args.cluster.pod_network),
            etcd_ports=_texts(ETCD_PORTS),
            node_ports=_texts(_NODE_PORTS),
            api_ports=_texts((API_PORT, args.cluster.endpoint_port)),
            api_clients=_api_clients(args, machine),
        )
    )


def address_towards(host: str) -> IPv4Address | None:
    """The address under which this computer would send to a host, as far as it knows; None where it has no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((host, 9))
        except OSError:
            return None
        return IPv4Address(asked.getsockname()[0])


def shut_out(own: IPv4Address | None, clients: Sequence[IPv4Network]) -> str | None:
    """Why the computer that runs Pulumi may not reach the API any more; None where nothing says so."""
    if own is None or not clients or any(own in each for each in clients):
        return None
    return (
        f"argus:cluster.apiClients does not contain {own}, this computer's address on the way to the API: unless "
        "something in between changes it, add it, or this computer will not reach the API"
    )


def _api_clients(args: ClusterArgs, machine: Machine) -> list[str]:
    return [str(each) for each in args.cluster.api_clients] if machine.control_plane else []


def _texts(ports: Sequence[int]) -> list[str]:
    return [str(port) for port in ports]
