"""What a cluster is made from: the part of the stack's configuration, and what its last update left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components import remote
from components.cluster.machine import Machine
from components.cluster.network import NetworkKind
from components.config import Backup, Cluster, Settings, manifest


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """The machines, and the cluster that they become."""

    control_planes: Sequence[Machine]
    workers: Sequence[Machine]
    ssh: remote.Ssh
    cluster: Cluster
    backup: Backup
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
        return self.machines if self.cluster.schedule_pods_on_control_planes else tuple(self.workers)

    @property
    def endpoint(self) -> str:
        """The API's virtual IP."""
        return str(self.cluster.endpoint)

    @property
    def server(self) -> str:
        """URL of the API."""
        return f"https://{self.cluster.endpoint}:{self.cluster.endpoint_port}"

    @property
    def network(self) -> NetworkKind:
        """Whose network the pods are on."""
        return "built-in" if self.network_manifest is None else "manifest"

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        pods: Mapping[str, int],
        volumes_gib: Mapping[str, int],
        running_version: pulumi.Input[str | None] = None,
        running_network: pulumi.Input[str | None] = None,
        looks: pulumi.Input[Mapping[str, str]] | None = None,
    ) -> ClusterArgs:
        """The part of the stack's configuration that makes the cluster."""
        ssh, machines, network = settings.ssh, settings.machines, settings.cluster.network
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
            cluster=settings.cluster,
            backup=settings.backup,
            running_version=running_version,
            network_manifest=manifest.read(network.manifest) if network.manifest else None,
            running_network=running_network,
            looks=looks or {},
            pods=pods,
            volumes_gib=volumes_gib,
        )


def _machine(
    *, name: str, address: object, host_key: str | None, labels: Mapping[str, str], taints: tuple[str, ...]
) -> Machine:
    return Machine(name=name, address=str(address), host_key=host_key, labels=labels, taints=taints)
