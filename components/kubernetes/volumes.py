"""The volume of a stateful service: on a machine's own disk, or of the user's storage class."""

from typing import Final

from pulumi_kubernetes import core, meta

from components.kubernetes.names import labels, selector

LOCAL_STORAGE_CLASS: Final = "argus-local"
VOLUME_LABEL: Final = "argus.dev/volume"


def claim(service: str, size_gib: int, storage_class: str | None) -> core.v1.PersistentVolumeClaimArgs:
    """The claim named `data` of a stateful service: for a local volume of the service, or one of `storage_class`."""
    local = storage_class is None
    return core.v1.PersistentVolumeClaimArgs(
        metadata=meta.v1.ObjectMetaArgs(name="data", labels=labels(service, "data")),
        spec=core.v1.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            storage_class_name=storage_class or LOCAL_STORAGE_CLASS,
            selector=selector({VOLUME_LABEL: service}) if local else None,
            resources=core.v1.VolumeResourceRequirementsArgs(requests={"storage": f"{size_gib}Gi"}),
        ),
    )
