"""The arguments of the cluster's components: the stack's sections about it, and outputs of the stack's last update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi

from components import remote
from components.config import Backup, Cluster, Machine, Machines
from components.config.sections import Encryption, Registry

NetworkKind = Literal["built-in", "manifest"]
"""The kind of pod network: Argus's own, or the one in the user's manifest."""


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """The machines, and the cluster to make of them."""

    machines: Machines
    ssh: remote.Ssh
    """Steps get it with the machines' host keys, which Preflight reads."""
    cluster: Cluster
    backup: Backup
    page_port: int
    """The page's NodePort; on Argus's own network the virtual IP alone answers it."""
    running_version: pulumi.Input[str | None] = None
    """The Kubernetes version that the cluster runs now; None where there is no cluster yet."""
    running_network: pulumi.Input[str | None] = None
    """The kind of network that the cluster uses now; None where the stack has not recorded one."""
    running_kubeconfig: pulumi.Input[str] = ""
    """`Cluster.kubeconfig` of the stack's last update, a secret; empty where there was none."""
    refusals: pulumi.Input[Sequence[str]] = ()
    """Why the stack's edit cannot be made; where there is one, no machine is changed."""
    checks: pulumi.Input[Mapping[str, str]] = field(default_factory=dict)
    """`Cluster.checks` of the stack's last update: the last check of each machine, by address."""
    disks: pulumi.Input[Mapping[str, Any]] = field(default_factory=dict)
    """`Cluster.disks` of the stack's last update: the disks of each machine, by address."""
    pods: Mapping[str, int] = field(default_factory=dict)
    """The memory (MiB) of each pod that must fit on some machine, by the configuration key that sets it."""
    volumes_gib: Mapping[str, int] = field(default_factory=dict)
    """Size (GiB) of each stateful service's local volume; empty where the user names a storage class."""
    bounded_volumes: bool = False
    """Whether each local volume is a file system of its own."""
    volume_encryption: Encryption | None = None
    """How these file systems are encrypted; None where they are in clear."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """The digest that an image must have, by its reference; other images are not checked."""
    registries: Mapping[str, Registry] = field(default_factory=dict)
    """What machines must know of registries, by host."""

    @property
    def all_machines(self) -> tuple[Machine, ...]:
        """Control planes, then workers, without machines on standby."""
        return self.machines.control_planes + self.machines.active_workers

    @property
    def schedulable_machines(self) -> tuple[Machine, ...]:
        """The machines that ordinary pods may run on."""
        return self.all_machines if self.cluster.schedule_pods_on_control_planes else self.machines.active_workers

    @property
    def encrypts_volumes(self) -> bool:
        """Whether machines encrypt local volumes."""
        return bool(self.volumes_gib) and self.volume_encryption is not None

    @property
    def endpoint(self) -> str:
        """The API's virtual IP."""
        return str(self.cluster.endpoint)

    @property
    def server(self) -> str:
        """URL of the API, which identifies this cluster."""
        return f"https://{self.cluster.endpoint}:{self.cluster.endpoint_port}"

    @property
    def digests_of_images(self) -> list[str]:
        """Each of the digests as a line for the machines' scripts, `reference digest`."""
        return [f"{reference} {digest}" for reference, digest in sorted(self.digests.items())]

    @property
    def network(self) -> NetworkKind:
        """The kind of pod network: Argus's own, or the user's manifest."""
        return "manifest" if self.cluster.network.manifest else "built-in"

    def on(self, machine: Machine) -> MachineArgs:
        """The arguments of a step on one of the machines."""
        return MachineArgs(**vars(self), machine=machine)


@dataclass(frozen=True, kw_only=True)
class MachineArgs(ClusterArgs):
    """A cluster, and the machine that a step runs on."""

    machine: Machine

    @property
    def proxy(self) -> list[str]:
        """The HTTP proxies as lines for functions/proxy.sh; empty without one."""
        cluster, given = self.cluster, self.cluster.proxy
        if not (given.http or given.https):
            return []
        direct = ["localhost", "127.0.0.0/8", ".svc", ".cluster.local"]
        direct += [self.endpoint, str(cluster.pod_network), str(cluster.service_network)]
        named = {"http_proxy": given.http, "https_proxy": given.https or given.http}
        return [
            *(f"{name}={url}" for name, url in named.items() if url),
            f"no_proxy={','.join([*direct, *given.no_proxy, self.machine.host])}",
        ]
