"""The stages from machines to a cluster: the components of each, and what they wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components import remote, versions
from components.cluster.args import ClusterArgs
from components.cluster.backup import Backup, BackupArgs
from components.cluster.certificates import Certificates, CertificatesArgs
from components.cluster.container_runtime import ContainerRuntime, ContainerRuntimeArgs
from components.cluster.dns import Dns, DnsArgs
from components.cluster.endpoint import Endpoint, EndpointArgs
from components.cluster.kubeconfig import Kubeconfig, KubeconfigArgs
from components.cluster.machine import Machine
from components.cluster.metrics_server import MetricsServer, MetricsServerArgs
from components.cluster.network import Network, NetworkArgs
from components.cluster.network_manifest import NetworkManifest, NetworkManifestArgs
from components.cluster.node import Node, NodeArgs
from components.cluster.node_metadata import NodeMetadata, NodeMetadataArgs
from components.cluster.packages import Packages, PackagesArgs
from components.cluster.preflight import Preflight, PreflightArgs
from components.cluster.removal import Drain, Removal, RemovalArgs
from components.cluster.storage import LocalStorage, LocalStorageArgs
from components.cluster.upgrade import Upgrade, UpgradeArgs

ByMachine = Mapping[str, pulumi.Resource]
"""A resource to depend on, by machine name."""


def look_at_machines(name: str, args: ClusterArgs, parent: pulumi.Resource) -> Preflight:
    """Check all machines before any of them is changed."""
    return Preflight(
        f"{name}-preflight",
        PreflightArgs(
            control_planes=args.control_planes,
            workers=args.workers,
            ssh=args.ssh,
            endpoint=args.endpoint,
            endpoint_port=args.cluster.endpoint_port,
            minimum_memory_mib=args.cluster.minimum_memory_mib,
            minimum_disk_gib=args.cluster.minimum_disk_gib,
            kubernetes_version=args.cluster.kubernetes_version,
            pods=args.pods,
            hosts=args.schedulable_machines,
            running_version=args.running_version,
            network=args.network,
            running_network=args.running_network,
            looks=args.looks,
        ),
        pulumi.ResourceOptions(parent=parent),
    )


class Stages:
    """Each method is one stage; its parameters are the results of earlier stages that it waits for."""

    def __init__(self, name: str, args: ClusterArgs, preflight: Preflight, parent: pulumi.Resource) -> None:
        self._name, self._args, self._cluster, self._parent = name, args, args.cluster, parent
        self._ssh: remote.Ssh = preflight.ssh
        self._passed = preflight.passed
        self._removals = {
            machine.name: RemovalArgs(
                machine=machine,
                ssh=self._ssh,
                endpoint=self._args.endpoint,
                server=args.server,
                control_plane=machine in args.control_planes,
            )
            for machine in args.machines
        }

    def prepare_removal(self) -> ByMachine:
        """The undo of everything that follows: created first so that it is deleted last.

        Workers leave before control planes, and control planes one at a time, so that etcd keeps its majority and
        another control plane can remove each node.
        """
        undo: dict[str, pulumi.Resource] = {}
        previous: list[pulumi.Resource] = []
        for machine in self._args.machines:
            undo[machine.name] = Removal(
                f"{self._name}-{machine.name}-removal",
                self._removals[machine.name],
                self._after(_and(self._passed[machine.name], previous)),
            ).undo
            if machine in self._args.control_planes:
                previous = [undo[machine.name]]
        return undo

    def install_packages(self, undo: ByMachine) -> ByMachine:
        """Debian packages and Kubernetes binaries, on all machines in parallel."""
        return {
            machine.name: Packages(
                f"{self._name}-{machine.name}-packages",
                PackagesArgs(
                    machine=machine,
                    ssh=self._ssh,
                    cluster=self._cluster,
                    control_plane=machine in self._args.control_planes,
                    server=self._args.server,
                ),
                self._after([undo[machine.name]]),
            )
            for machine in self._args.machines
        }

    def configure_runtime(self, packages: ByMachine) -> ByMachine:
        """containerd, with the images that a node itself needs."""
        return {
            machine.name: ContainerRuntime(
                f"{self._name}-{machine.name}-runtime",
                ContainerRuntimeArgs(
                    machine=machine,
                    ssh=self._ssh,
                    cluster=self._cluster,
                    control_plane=machine in self._args.control_planes,
                    network=self._args.network,
                ),
                self._after([packages[machine.name]]),
            )
            for machine in self._args.machines
        }

    def serve_endpoint(self, packages: ByMachine) -> Sequence[pulumi.Resource]:
        """The API's virtual IP and its load balancers, on the control planes."""
        return [
            Endpoint(
                f"{self._name}-{machine.name}-endpoint",
                EndpointArgs(
                    machine=machine,
                    ssh=self._ssh,
                    control_planes=self._args.control_planes,
                    endpoint=self._args.endpoint,
                    endpoint_port=self._cluster.endpoint_port,
                ),
                self._after([packages[machine.name]]),
            )
            for machine in self._args.control_planes
        ]

    def start_control_plane(self, runtimes: ByMachine, endpoints: Sequence[pulumi.Resource]) -> ByMachine:
        """The first control plane starts the cluster, then all others join it in parallel.

        kubeadm makes them wait for each other where etcd accepts only one new member at a time.
        """
        first, *others = self._args.control_planes
        members = {first.name: self._node(first, [*endpoints, runtimes[first.name]], bootstrap=True)}
        wait = [*endpoints, members[first.name]]
        members |= {each.name: self._node(each, [*wait, runtimes[each.name]]) for each in others}
        for machine in self._args.control_planes:
            after = self._after([members[machine.name]])
            name = f"{self._name}-{machine.name}"
            Certificates(f"{name}-certificates", CertificatesArgs(machine=machine, ssh=self._ssh), after)
            Backup(f"{name}-backup", BackupArgs(machine=machine, ssh=self._ssh, options=self._args.backup), after)
        return members

    def join_workers(self, runtimes: ByMachine, control_planes: ByMachine) -> ByMachine:
        """Every worker joins as soon as the cluster has started."""
        first = control_planes[self._args.control_planes[0].name]
        return {each.name: self._node(each, [runtimes[each.name], first]) for each in self._args.workers}

    def connect_pods(self, members: ByMachine) -> Sequence[pulumi.Resource]:
        """The pods' network: Argus's own, or the one in the user's manifest."""
        name, after = f"{self._name}-network", self._after(list(members.values()))
        machines, endpoint = self._args.machines, self._args.endpoint
        if self._args.network_manifest is not None:
            manifest = NetworkManifestArgs(
                machines=machines, ssh=self._ssh, endpoint=endpoint, manifest=self._args.network_manifest
            )
            return NetworkManifest(name, manifest, after).ready
        pods = str(self._cluster.pod_network)
        return Network(
            name, NetworkArgs(machines=machines, ssh=self._ssh, endpoint=endpoint, pod_network=pods), after
        ).ready

    def upgrade_nodes(self, members: ByMachine, connected: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """Upgrade Kubernetes one node at a time, control planes first; return the last node's upgrade."""
        after = [*members.values(), *connected]
        for machine in self._args.machines:
            upgrade = Upgrade(
                f"{self._name}-{machine.name}-upgrade",
                UpgradeArgs(
                    machine=machine,
                    ssh=self._ssh,
                    cluster=self._cluster,
                    control_plane=machine in self._args.control_planes,
                ),
                self._after(after),
            )
            after = [upgrade.upgraded]
        return after[0]

    def label_nodes(self, members: ByMachine) -> None:
        """The labels and taints that the stack gives its machines."""
        NodeMetadata(
            f"{self._name}-metadata",
            NodeMetadataArgs(machines=self._args.machines, ssh=self._ssh, endpoint=self._args.endpoint),
            self._after(list(members.values())),
        )

    def spread_dns(self, upgraded: pulumi.Resource) -> None:
        """CoreDNS on two machines."""
        Dns(
            f"{self._name}-dns",
            DnsArgs(
                ssh=self._ssh,
                endpoint=self._args.endpoint,
                replicas=min(2, len(self._args.machines)),
                kubernetes_version=self._cluster.kubernetes_version,
            ),
            self._after([upgraded]),
        )

    def read_kubeconfig(self, upgraded: pulumi.Resource) -> pulumi.Output[str]:
        """The administrator's kubeconfig, a secret."""
        args = KubeconfigArgs(ssh=self._ssh, endpoint=self._args.endpoint)
        return Kubeconfig(f"{self._name}-kubeconfig", args, self._after([upgraded])).content

    def measure_pods(self, provider: pulumi.ProviderResource) -> None:
        """metrics-server, for autoscalers and `kubectl top`."""
        image = f"{self._cluster.image_repository}/metrics-server/metrics-server:{versions.METRICS_SERVER}"
        MetricsServer(f"{self._name}-metrics", MetricsServerArgs(image=image), provider=provider, opts=self._after())

    def provide_volumes(
        self, provider: pulumi.ProviderResource, runtimes: ByMachine
    ) -> Mapping[str, Sequence[pulumi.Resource]]:
        """Local volumes on each machine that runs pods, unless the stack names a storage class."""
        if not self._args.volumes_gib:
            return {}
        return LocalStorage(
            f"{self._name}-storage",
            LocalStorageArgs(
                machines=self._args.schedulable_machines, ssh=self._ssh, volumes_gib=self._args.volumes_gib
            ),
            provider=provider,
            opts=self._after(list(runtimes.values())),
        ).volumes

    def prepare_drains(
        self, members: ByMachine, volumes: Mapping[str, Sequence[pulumi.Resource]]
    ) -> Sequence[pulumi.Resource]:
        """The drain of a machine that leaves: created last so that its delete runs first.

        One machine at a time: each drain waits until all replicas of the services are back.
        """
        drains: list[pulumi.Resource] = []
        for machine in self._args.machines:
            drain = Drain(
                f"{self._name}-{machine.name}-drain",
                self._removals[machine.name],
                self._after([members[machine.name], *volumes.get(machine.name, ()), *drains[-1:]]),
            )
            drains.append(drain.drained)
        return drains

    def _node(self, machine: Machine, after: Sequence[pulumi.Resource], *, bootstrap: bool = False) -> pulumi.Resource:
        return Node(
            f"{self._name}-{machine.name}",
            NodeArgs(
                machine=machine,
                ssh=self._ssh,
                cluster=self._cluster,
                control_plane=machine in self._args.control_planes,
                bootstrap=bootstrap,
            ),
            self._after(after),
        ).joined

    def _after(
        self, resources: pulumi.Input[Sequence[pulumi.Input[pulumi.Resource]]] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self._parent, depends_on=resources)


def _and(
    known: pulumi.Output[Sequence[pulumi.Resource]], others: Sequence[pulumi.Resource]
) -> pulumi.Output[Sequence[pulumi.Resource]]:
    return known.apply(lambda resources: [*resources, *others])
