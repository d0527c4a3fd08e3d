"""Local volumes on the machines, for a stack that names no storage class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta, storage

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.disks import VOLUMES_ROOT
from components.cluster.machine import program, script
from components.config import Machine
from components.kubernetes.volumes import LOCAL_STORAGE_CLASS, VOLUME_LABEL

MOUNT: Final = ("functions/encrypted_volumes.sh", "mount_volumes.sh")
"""What mounts the volumes at each start of a machine."""


class LocalStorage(pulumi.ComponentResource):
    """A storage class, and on every machine one volume for each stateful service.

    A claim selects its volume by the label `argus.dev/volume`. A volume is a file system of its own where the stack
    says so, in clear or encrypted with a key that its machine draws; else it is a folder, and its service keeps to the
    size.
    The data in the folders is deleted when the machine leaves the stack.
    """

    volumes: Mapping[str, Sequence[pulumi.Resource]]
    """The volumes of each machine, by its name; resources that must be deleted before the volumes depend on them."""

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        *,
        provider: pulumi.ProviderResource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("argus:cluster:LocalStorage", name, {}, opts)
        storage_class = storage.v1.StorageClass(
            f"{name}-class",
            metadata=meta.v1.ObjectMetaArgs(name=LOCAL_STORAGE_CLASS),
            provisioner="kubernetes.io/no-provisioner",
            volume_binding_mode="WaitForFirstConsumer",
            reclaim_policy="Retain",
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        encryption = args.volume_encryption
        volumes: dict[str, Sequence[pulumi.Resource]] = {}
        for machine in args.schedulable_machines:
            folders = remote.command(
                f"{name}-{machine.name}-folders",
                host=machine.host,
                ssh=args.ssh,
                create=script(
                    "volumes.sh",
                    root=VOLUMES_ROOT,
                    volumes=[f"{service} {gib}" for service, gib in args.volumes_gib.items()],
                    bounded=args.bounded_volumes,
                    key_name=encryption.key if encryption else "",
                    tang=[f"{server.url} {server.thumbprint}" for server in encryption.tang] if encryption else "",
                    mount=program(*MOUNT),
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            volumes[machine.name] = [
                core.v1.PersistentVolume(
                    f"{name}-{machine.name}-{service}",
                    metadata=meta.v1.ObjectMetaArgs(name=f"{machine.name}-{service}", labels={VOLUME_LABEL: service}),
                    spec=_volume(machine, service, gib),
                    opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[folders, storage_class]),
                )
                for service, gib in args.volumes_gib.items()
            ]
        self.volumes = volumes
        self.register_outputs({})


def _volume(machine: Machine, service: str, gib: int) -> core.v1.PersistentVolumeSpecArgs:
    this_machine = core.v1.NodeSelectorRequirementArgs(
        key="kubernetes.io/hostname", operator="In", values=[machine.name]
    )
    return core.v1.PersistentVolumeSpecArgs(
        capacity={"storage": f"{gib}Gi"},
        access_modes=["ReadWriteOnce"],
        persistent_volume_reclaim_policy="Retain",
        storage_class_name=LOCAL_STORAGE_CLASS,
        volume_mode="Filesystem",
        local=core.v1.LocalVolumeSourceArgs(path=f"{VOLUMES_ROOT}/{service}"),
        node_affinity=core.v1.VolumeNodeAffinityArgs(
            required=core.v1.NodeSelectorArgs(
                node_selector_terms=[core.v1.NodeSelectorTermArgs(match_expressions=[this_machine])]
            )
        ),
    )
