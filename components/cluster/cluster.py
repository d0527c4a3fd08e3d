"""Machines become a cluster: every step in the order of the text, and what may run side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes

from components import remote, versions
from components.cluster.backup import Backup, BackupArgs, BackupOptions
from components.cluster.certificates import Certificates, CertificatesArgs
from components.cluster.container_runtime import ContainerRuntime, ContainerRuntimeArgs
from components.cluster.dns import Dns, DnsArgs
from components.cluster.endpoint import Endpoint, EndpointArgs
from components.cluster.kubeadm import KubeadmArgs, KubeletArgs
from components.cluster.kubeconfig import Kubeconfig, KubeconfigArgs
from components.cluster.machine import Machine
from components.cluster.metrics_server import MetricsServer, MetricsServerArgs
from components.cluster.network import Network, NetworkArgs, NetworkKind
from components.cluster.network_manifest import NetworkManifest, NetworkManifestArgs
from components.cluster.node import Node, NodeArgs
from components.cluster.node_metadata import NodeMetadata, NodeMetadataArgs
from components.cluster.packages import Packages, PackagesArgs
from components.cluster.preflight import Preflight, PreflightArgs
from components.cluster.removal import Drain, Removal, RemovalArgs
from components.cluster.storage import LocalStorage, LocalStorageArgs
from components.cluster.upgrade import Upgrade, UpgradeArgs
from components.config import Settings, manifest


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """The machines, and the cluster that they become."""

    control_planes: Sequence[Machine]
    workers: Sequence[Machine]
    ssh: remote.Ssh
    kubeadm: KubeadmArgs
    binaries: str
    backup: BackupOptions = field(default_factory=BackupOptions)
    registry_mirror: str | None = None
    minimum_memory_mib: int = 1700
    minimum_disk_gib: int = 20
    running_version: pulumi.Input[str | None] = None
    """The Kubernetes version that the stack's cluster has had so far, if there is one."""
    network_manifest: str | None = None
    """The text of the manifest of the user's own network; None means Argus's."""
    running_network: pulumi.Input[str | None] = None
    """The kind that the stack's cluster has had so far, if it says one."""
    looks: pulumi.Input[Mapping[str, str]] = field(default_factory=dict)
    """The looks after which the stack's machines became its cluster, by address."""
    pods: Mapping[str, int] = field(default_factory=dict)
    """The memory (MiB) that some machine must have for a pod, by the key of the configuration that says it."""
    volumes_gib: Mapping[str, int] = field(default_factory=dict)
    """Size of each stateful service's local volume; empty where the user brings a storage class."""

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Control planes, then workers."""
        return (*self.control_planes, *self.workers)

    @property
    def schedulable_machines(self) -> tuple[Machine, ...]:
        """Those that ordinary pods run on."""
        return self.machines if self.kubeadm.schedule_pods_on_control_planes else tuple(self.workers)

    @property
    def network(self) -> NetworkKind:
        """Whose network the pods are on."""
        return "built-in" if self.network_manifest is None else "manifest"

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        running_version: pulumi.Input[str | None] = None,
        running_network: pulumi.Input[str | None] = None,
        looks: pulumi.Input[Mapping[str, str]] | None = None,
    ) -> ClusterArgs:
        """The part of the stack's configuration that makes the cluster."""
        cluster = settings.cluster
        ssh, machines = settings.ssh, settings.machines
        volumes = {
            "zookeeper": settings.zookeeper.volume_gib,
            "kafka": settings.kafka.volume_gib,
            "elasticsearch": settings.elasticsearch.volume_gib,
            "consumer": settings.consumer.volume_gib,
        }
        if ssh.private_key:
            key = ssh.private_key.get_secret_value()
        elif ssh.private_key_file:
            key = ssh.private_key_file.read_text(encoding="utf-8")
        else:
            raise ValueError("argus:ssh has no key")
        return cls(
            control_planes=[_machine(**each.model_dump()) for each in machines.control_planes],
            workers=[_machine(**each.model_dump(exclude={"standby"})) for each in machines.active_workers],
            ssh=remote.Ssh(user=ssh.user, port=ssh.port, private_key=key, mend=ssh.mend),
            kubeadm=KubeadmArgs(
                name=cluster.name,
                endpoint=str(cluster.endpoint),
                endpoint_port=cluster.endpoint_port,
                kubernetes_version=cluster.kubernetes_version,
                pod_network=str(cluster.pod_network),
                service_network=str(cluster.service_network),
                image_repository=cluster.image_repository,
                kubelet=KubeletArgs(
                    cgroup_driver=cluster.kubelet.cgroup_driver,
                    fail_cgroup_v1=cluster.kubelet.fail_cgroup_v1,
                    feature_gates=cluster.kubelet.feature_gates,
                ),
                conntrack_max_per_core=cluster.kube_proxy.conntrack_max_per_core,
                schedule_pods_on_control_planes=cluster.schedule_pods_on_control_planes,
            ),
            binaries=cluster.binaries,
            backup=BackupOptions(
                schedule=settings.backup.schedule,
                directory=settings.backup.directory,
                keep=settings.backup.keep,
                copy_to=settings.backup.copy_to,
                copy_key=settings.backup.copy_key.get_secret_value() if settings.backup.copy_key else None,
            ),
            registry_mirror=cluster.registry_mirror,
            minimum_memory_mib=cluster.minimum_memory_mib,
            minimum_disk_gib=cluster.minimum_disk_gib,
            running_version=running_version,
            network_manifest=manifest.read(cluster.network.manifest) if cluster.network.manifest else None,
            running_network=running_network,
            looks=looks or {},
            pods=settings.pod_memory,
            volumes_gib={} if settings.storage.class_name else volumes,
        )


class Cluster(pulumi.ComponentResource):
    """A highly available Kubernetes cluster on the given machines."""

    kubeconfig: pulumi.Output[str]
    """The administrator's, a secret; it is known when every node is ready."""
    endpoint: pulumi.Output[str]
    """URL of the API."""
    kubernetes_version: pulumi.Output[str]
    """Known when every node has it."""
    network: pulumi.Output[str]
    """Whose network the pods are on, `built-in` or `manifest`; known when every node is on it."""
    looks: pulumi.Output[Mapping[str, str]]
    """At the machines, by address; known when they are the cluster. Those need no other one."""
    known: Sequence[pulumi.Resource]
    """To depend on, for what takes its turn after the first look at the machines."""
    drained: Sequence[pulumi.Resource]
    """To depend on, for what runs in pods: it is gone before its machines are drained."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Cluster", name, {}, opts)
        kubeadm, endpoint = args.kubeadm, args.kubeadm.endpoint
        server = f"https://{endpoint}:{kubeadm.endpoint_port}"

        preflight = Preflight(
            f"{name}-preflight",
            PreflightArgs(
                control_planes=args.control_planes,
                workers=args.workers,
                ssh=args.ssh,
                endpoint=endpoint,
                endpoint_port=kubeadm.endpoint_port,
                minimum_memory_mib=args.minimum_memory_mib,
                minimum_disk_gib=args.minimum_disk_gib,
                kubernetes_version=kubeadm.kubernetes_version,
                pods=args.pods,
                hosts=args.schedulable_machines,
                running_version=args.running_version,
                network=args.network,
                running_network=args.running_network,
                looks=args.looks,
            ),
            self._child(),
        )

        # First, because it goes last. Workers leave before control planes, and those one after the other, so that etcd
        # keeps its majority and somebody is left to forget each of them.
        removals = {
            machine.name: RemovalArgs(
                machine=machine,
                ssh=preflight.ssh,
                endpoint=endpoint,
                server=server,
                control_plane=machine in args.control_planes,
            )
            for machine in args.machines
        }
        undo: dict[str, pulumi.Resource] = {}
        previous: list[pulumi.Resource] = []
        for machine in args.machines:
            undo[machine.name] = Removal(
                f"{name}-{machine.name}-removal",
                removals[machine.name],
                self._child(_and(preflight.passed[machine.name], previous)),
            ).undo
            if machine in args.control_planes:
                previous = [undo[machine.name]]

        # Every machine for itself, all at once.
        prepared: dict[str, pulumi.Resource] = {}
        endpoints: list[pulumi.Resource] = []
        for machine in args.machines:
            control_plane = machine in args.control_planes
            packages = Packages(
                f"{name}-{machine.name}-packages",
                PackagesArgs(
                    machine=machine,
                    ssh=preflight.ssh,
                    control_plane=control_plane,
                    server=server,
                    binaries=args.binaries,
                    kubernetes_version=kubeadm.kubernetes_version,
                ),
                self._child([undo[machine.name]]),
            )
            prepared[machine.name] = ContainerRuntime(
                f"{name}-{machine.name}-runtime",
                ContainerRuntimeArgs(
                    machine=machine,
                    ssh=preflight.ssh,
                    systemd_cgroups=kubeadm.kubelet.cgroup_driver == "systemd",
                    unprivileged=kubeadm.kubelet.feature_gates.get("KubeletInUserNamespace", False),
                    mirror=args.registry_mirror,
                    image_repository=kubeadm.image_repository,
                    kubernetes_version=kubeadm.kubernetes_version,
                    control_plane=control_plane,
                    network=args.network,
                ),
                self._child([packages]),
            )
            if control_plane:
                endpoints.append(
                    Endpoint(
                        f"{name}-{machine.name}-endpoint",
                        EndpointArgs(
                            machine=machine,
                            ssh=preflight.ssh,
                            control_planes=args.control_planes,
                            endpoint=endpoint,
                            endpoint_port=kubeadm.endpoint_port,
                        ),
                        self._child([packages]),
                    )
                )

        # All at once after the first: kubeadm has control planes wait for each other where etcd takes one at a time.
        members: dict[str, pulumi.Resource] = {}
        for index, machine in enumerate(args.control_planes):
            node = Node(
                f"{name}-{machine.name}",
                NodeArgs(machine=machine, ssh=preflight.ssh, kubeadm=kubeadm, control_plane=True, bootstrap=index == 0),
                self._child([*endpoints, prepared[machine.name], *list(members.values())[:1]]),
            )
            members[machine.name] = node.joined
            Certificates(
                f"{name}-{machine.name}-certificates",
                CertificatesArgs(machine=machine, ssh=preflight.ssh),
                self._child([node.joined]),
            )
            Backup(
                f"{name}-{machine.name}-backup",
                BackupArgs(machine=machine, ssh=preflight.ssh, options=args.backup),
                self._child([node.joined]),
            )
        first = members[args.control_planes[0].name]
        for machine in args.workers:
            members[machine.name] = Node(
                f"{name}-{machine.name}",
                NodeArgs(machine=machine, ssh=preflight.ssh, kubeadm=kubeadm, control_plane=False),
                self._child([prepared[machine.name], first]),
            ).joined
        everyone = list(members.values())

        network: Network | NetworkManifest
        if args.network_manifest is None:
            network = Network(
                f"{name}-network",
                NetworkArgs(
                    machines=args.machines, ssh=preflight.ssh, endpoint=endpoint, pod_network=kubeadm.pod_network
                ),
                self._child(everyone),
            )
        else:
            network = NetworkManifest(
                f"{name}-network",
                NetworkManifestArgs(
                    machines=args.machines, ssh=preflight.ssh, endpoint=endpoint, manifest=args.network_manifest
                ),
                self._child(everyone),
            )
        # Control planes first, and one node at a time: each depends on the one before.
        upgrades: list[pulumi.Resource] = [*everyone, *network.ready]
        for machine in args.machines:
            upgrade = Upgrade(
                f"{name}-{machine.name}-upgrade",
                UpgradeArgs(
                    machine=machine,
                    ssh=preflight.ssh,
                    kubeadm=kubeadm,
                    control_plane=machine in args.control_planes,
                    binaries=args.binaries,
                ),
                self._child(upgrades),
            )
            upgrades = [upgrade.upgraded]
        NodeMetadata(
            f"{name}-metadata",
            NodeMetadataArgs(machines=args.machines, ssh=preflight.ssh, endpoint=endpoint),
            self._child(everyone),
        )
        Dns(
            f"{name}-dns",
            DnsArgs(
                ssh=preflight.ssh,
                endpoint=endpoint,
                replicas=min(2, len(args.machines)),
                kubernetes_version=kubeadm.kubernetes_version,
            ),
            self._child(upgrades),
        )
        kubeconfig = Kubeconfig(
            f"{name}-kubeconfig", KubeconfigArgs(ssh=preflight.ssh, endpoint=endpoint), self._child(upgrades)
        )

        provider = kubernetes.Provider(
            f"{name}-provider", kubeconfig=kubeconfig.content, opts=pulumi.ResourceOptions(parent=self)
        )
        MetricsServer(
            f"{name}-metrics",
            MetricsServerArgs(
                image=f"{kubeadm.image_repository}/metrics-server/metrics-server:{versions.METRICS_SERVER}"
            ),
            provider=provider,
            opts=self._child(),
        )
        volumes: Mapping[str, Sequence[pulumi.Resource]] = {}
        if args.volumes_gib:
            volumes = LocalStorage(
                f"{name}-storage",
                LocalStorageArgs(machines=args.schedulable_machines, ssh=preflight.ssh, volumes_gib=args.volumes_gib),
                provider=provider,
                opts=self._child(list(prepared.values())),
            ).volumes

        # Last, because it goes first. One machine after the other: each waits until the services are whole again.
        drains: list[pulumi.Resource] = []
        for machine in args.machines:
            drain = Drain(
                f"{name}-{machine.name}-drain",
                removals[machine.name],
                self._child([members[machine.name], *volumes.get(machine.name, ()), *drains[-1:]]),
            )
            drains.append(drain.drained)
        self.drained, self.known = drains, preflight.known
        self.looks = pulumi.Output.all(preflight.looks, upgrades[-1].urn).apply(lambda outputs: outputs[0])
        self.kubeconfig, self.endpoint = kubeconfig.content, pulumi.Output.from_input(server)
        self.kubernetes_version = upgrades[-1].urn.apply(lambda _: kubeadm.kubernetes_version)
        self.network = upgrades[-1].urn.apply(lambda _: args.network)
        self.register_outputs({"kubeconfig": self.kubeconfig, "endpoint": self.endpoint})

    def _child(
        self, after: pulumi.Input[Sequence[pulumi.Input[pulumi.Resource]]] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=after)


def _machine(
    *, name: str, address: object, host_key: str | None, labels: Mapping[str, str], taints: tuple[str, ...]
) -> Machine:
    return Machine(name=name, address=str(address), host_key=host_key, labels=labels, taints=taints)


def _and(
    known: pulumi.Output[Sequence[pulumi.Resource]], others: Sequence[pulumi.Resource]
) -> pulumi.Output[Sequence[pulumi.Resource]]:
    return known.apply(lambda resources: [*resources, *others])
