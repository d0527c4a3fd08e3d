"""The stages from machines to a cluster: the components of each, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import pulumi

from components.cluster.args import ClusterArgs, MachineArgs
from components.cluster.backup import Backup
from components.cluster.certificates import Certificates
from components.cluster.container_runtime import ContainerRuntime
from components.cluster.dns import Dns
from components.cluster.endpoint import Endpoint
from components.cluster.firewall_admission import FirewallAdmission
from components.cluster.host_firewall import HostFirewall
from components.cluster.kubeconfig import Kubeconfig
from components.cluster.kubelet_certificates import KubeletCertificates
from components.cluster.metrics_server import MetricsServer
from components.cluster.network import Network
from components.cluster.network_manifest import NetworkManifest
from components.cluster.node import Node
from components.cluster.node_metadata import NodeMetadata
from components.cluster.packages import Packages
from components.cluster.removal import Drain, Removal
from components.cluster.secrets_key import SecretsKey
from components.cluster.storage import LocalStorage
from components.cluster.upgrade import Upgrade
from components.config import Machine

ByMachine = Mapping[str, pulumi.Resource]
"""A resource to depend on, by machine name."""


class _Step(Protocol):
    """A component that does one thing on one machine."""

    def __call__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions) -> pulumi.Resource: ...


class Stages:
    """Each method is one stage; its parameters are the results of earlier stages that it waits for."""

    def __init__(self, name: str, args: ClusterArgs, parent: pulumi.Resource) -> None:
        self._name, self._args, self._parent = name, args, parent

    def prepare_removal(self, passed: Mapping[str, pulumi.Output[Sequence[pulumi.Resource]]]) -> ByMachine:
        """The undo of everything that follows: created first so that it is deleted last.

        Workers leave before control planes, and control planes one at a time, so that etcd keeps its majority and
        another control plane can remove each node.
        """
        undo: dict[str, pulumi.Resource] = {}
        previous: list[pulumi.Resource] = []
        for machine in self._args.all_machines:
            name = f"{self._name}-{machine.name}-removal"
            after = self._after(_and(passed[machine.name], previous))
            undo[machine.name] = Removal(name, self._args.on(machine), after).undo
            if machine.control_plane:
                previous = [undo[machine.name]]
        return undo

    def install_packages(self, undo: ByMachine) -> ByMachine:
        """Debian packages and Kubernetes binaries, on all machines in parallel."""
        return self._on(self._args.all_machines, Packages, "packages", undo)

    def configure_runtime(self, packages: ByMachine) -> ByMachine:
        """containerd, with the images that a node itself needs."""
        return self._on(self._args.all_machines, ContainerRuntime, "runtime", packages)

    def admit_machines(self, packages: ByMachine) -> ByMachine:
        """The host firewalls of the control planes let new machines in."""
        if self._args.cluster.host_firewall == "off":
            return packages
        return self._on(self._args.machines.control_planes, FirewallAdmission, "admission", packages)

    def serve_endpoint(self, admitted: ByMachine) -> Sequence[pulumi.Resource]:
        """The API's virtual IP and its load balancers, on the control planes; no machine joins before it."""
        # Each asks at the virtual IP, which any of them may have.
        everywhere = self._after(list(admitted.values()))
        return [
            Endpoint(f"{self._name}-{machine.name}-endpoint", self._args.on(machine), everywhere)
            for machine in self._args.machines.control_planes
        ]

    def start_control_plane(self, runtimes: ByMachine, endpoints: Sequence[pulumi.Resource]) -> ByMachine:
        """The first control plane starts the cluster, then all others join it in parallel.

        kubeadm makes them wait for each other where etcd accepts only one new member at a time.
        """
        first, *others = self._args.machines.control_planes
        members = {first.name: self._node(first, runtimes, endpoints)}
        wait = [*endpoints, members[first.name]]
        members |= {each.name: self._node(each, runtimes, wait) for each in others}
        self._on([first, *others], Certificates, "certificates", members)
        self._on([first, *others], KubeletCertificates, "kubelets", members)
        self._on([first, *others], Backup, "backup", members)
        return members

    def join_workers(self, runtimes: ByMachine, control_planes: ByMachine) -> ByMachine:
        """Every worker joins as soon as the cluster has started."""
        first = control_planes[self._args.machines.control_planes[0].name]
        workers = self._args.machines.active_workers
        return {each.name: self._node(each, runtimes, [first]) for each in workers}

    def connect_pods(self, members: ByMachine) -> Sequence[pulumi.Resource]:
        """The pods' network: Argus's own, or the one in the user's manifest."""
        network = NetworkManifest if self._args.network == "manifest" else Network
        return network(f"{self._name}-network", self._args, self._after(list(members.values()))).ready

    def refuse_strangers(self, connected: Sequence[pulumi.Resource]) -> None:
        """The host firewall of every machine, by the nodes that there are once all have joined."""
        HostFirewall(f"{self._name}-firewall", self._args, self._after(connected))

    def upgrade_nodes(self, members: ByMachine, connected: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """Version and settings of one node at a time, control planes first; return the last node's upgrade."""
        after = [*members.values(), *connected]
        for machine in self._args.all_machines:
            name = f"{self._name}-{machine.name}-upgrade"
            after = [Upgrade(name, self._args.on(machine), self._after(after)).upgraded]
        return after[0]

    def encrypt_secrets(self, upgraded: pulumi.Resource) -> None:
        """The key of Secrets in etcd: one that the stack names anew replaces the old one."""
        SecretsKey(f"{self._name}-secrets-key", self._args, self._after([upgraded]))

    def label_nodes(self, members: ByMachine) -> None:
        """The labels and taints that the stack gives its machines."""
        NodeMetadata(f"{self._name}-metadata", self._args, self._after(list(members.values())))

    def spread_dns(self, upgraded: pulumi.Resource) -> None:
        """CoreDNS on two machines."""
        Dns(f"{self._name}-dns", self._args, self._after([upgraded]))

    def read_kubeconfig(self, upgraded: pulumi.Resource) -> Kubeconfig:
        """The administrator's kubeconfig."""
        return Kubeconfig(f"{self._name}-kubeconfig", self._args, self._after([upgraded]))

    def measure_pods(self, provider: pulumi.ProviderResource) -> None:
        """metrics-server, for autoscalers and `kubectl top`."""
        MetricsServer(f"{self._name}-metrics", self._args, provider=provider, opts=self._after())

    def provide_volumes(
        self, provider: pulumi.ProviderResource, runtimes: ByMachine
    ) -> Mapping[str, Sequence[pulumi.Resource]]:
        """Local volumes on each machine that runs pods, unless the stack names a storage class."""
        if not self._args.volumes_gib:
            return {}
        after = self._after(list(runtimes.values()))
        return LocalStorage(f"{self._name}-storage", self._args, provider=provider, opts=after).volumes

    def prepare_drains(
        self, members: ByMachine, volumes: Mapping[str, Sequence[pulumi.Resource]]
    ) -> Sequence[pulumi.Resource]:
        """The drain of a machine that leaves: created last so that its delete runs first.

        One machine at a time: each drain waits until all replicas of the services are back.
        """
        drains: list[pulumi.Resource] = []
        for machine in self._args.all_machines:
            after = self._after([members[machine.name], *volumes.get(machine.name, ()), *drains[-1:]])
            drains.append(Drain(f"{self._name}-{machine.name}-drain", self._args.on(machine), after).drained)
        return drains

    def _node(self, machine: Machine, runtimes: ByMachine, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        prepared, opts = [runtimes[machine.name]], self._after(after)
        return Node(f"{self._name}-{machine.name}", self._args.on(machine), prepared=prepared, opts=opts).joined

    def _on(self, machines: Iterable[Machine], step: _Step, suffix: str, after: ByMachine) -> ByMachine:
        """The step on each of these machines, in parallel; each waits for its machine's resource in `after`."""
        return {
            machine.name: step(
                f"{self._name}-{machine.name}-{suffix}", self._args.on(machine), self._after([after[machine.name]])
            )
            for machine in machines
        }

    def _after(
        self, resources: pulumi.Input[Sequence[pulumi.Input[pulumi.Resource]]] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self._parent, depends_on=resources)


def _and(
    first: pulumi.Output[Sequence[pulumi.Resource]], others: Sequence[pulumi.Resource]
) -> pulumi.Output[Sequence[pulumi.Resource]]:
    return first.apply(lambda resources: [*resources, *others])
