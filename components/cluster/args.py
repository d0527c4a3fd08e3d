"""The arguments of a cluster: its part of the stack's configuration, and outputs of the stack's last update."""

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
    """The machines, and the cluster to make of them."""

    control_planes: Sequence[Machine]
    workers: Sequence[Machine]
    ssh: remote.Ssh
    cluster: Cluster
    backup: Backup
    running_version: pulumi.Input[str | None] = None
    """The Kubernetes version that the cluster runs now; None where there is no cluster yet."""
    network_manifest: str | None = None
    """The text of the user's network manifest; None selects Argus's own network."""
    running_network: pulumi.Input[str | None] = None
    """The kind of network that the cluster uses now; None where the stack has not recorded one."""
    looks: pulumi.Input[Mapping[str, str]] = field(default_factory=dict)
    """`Cluster.looks` of the stack's last complete update: the last check of each machine, by address."""
    pods: Mapping[str, int] = field(default_factory=dict)
    """The memory (MiB) of each pod that must fit on some machine, by the configuration key that sets it."""
    volumes_gib: Mapping[str, int] = field(default_factory=dict)
    """Size (GiB) of each stateful service's local volume; empty where the user names a storage class."""

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Control planes, then workers."""
        return (*self.control_planes, *self.workers)

    @property
    def schedulable_machines(self) -> tuple[Machine, ...]:
        """The machines that ordinary pods may run on."""
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
        """The kind of pod network: Argus's own, or the user's manifest."""
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
        """Take the cluster's part of the stack's configuration. Raises ValueError without an SSH key."""
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
