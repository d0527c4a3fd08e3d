"""Whether the volumes of the services fit on their machines' disks (pure functions of what facts.sh answers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from components.cluster.args import ClusterArgs
from components.cluster.kubeadm import EVICTION_GIB

VOLUMES_ROOT: Final = "/var/lib/argus/volumes"

_MIB: Final = 1024
"""MiB in a GiB."""
_UNKNOWN: Final = "-"
"""What facts.sh answers for a volume that it could not measure in a minute."""


@dataclass(frozen=True, kw_only=True)
class Disks:
    """The file systems of a machine, and what its volumes hold already."""

    disks: Sequence[str]
    """Of each folder that Argus fills: `path device size free`, in MiB; what does not exist is where it would be."""
    volumes: Sequence[str]
    """Of each volume that exists: `service device used`, in MiB or `-`."""
    member: bool
    """Whether the machine is a node of this cluster, whose images and records are there already."""

    @classmethod
    def from_output(cls, recorded: Mapping[str, Any]) -> Self:
        """From an output of the stack."""
        return cls(disks=recorded["disks"], volumes=recorded["volumes"], member=bool(recorded["member"]))


def problem(there: Disks, args: ClusterArgs) -> str | None:
    """Why the stack's volumes do not fit, with the sum and the remedy; None where they do."""
    wanted = args.volumes_gib
    places = {path: (device, int(size), int(free)) for path, device, size, free in map(str.split, there.disks)}
    if not wanted or VOLUMES_ROOT not in places:
        return None
    device, size, free = places[VOLUMES_ROOT]
    needed = sum(max(0, gib * _MIB - _held(service, there.volumes)) for service, gib in wanted.items())
    shared = sorted(path for path, place in places.items() if path != VOLUMES_ROOT and place[0] == device)
    reserve = reserve_gib(member=there.member, minimum_disk_gib=args.cluster.minimum_disk_gib) if shared else 0
    if needed + reserve * _MIB <= free:
        return None
    listed = ", ".join(f"{service} {gib}" for service, gib in sorted(wanted.items(), key=lambda each: -each[1]))
    others = f" and {reserve} GiB for {', '.join(shared)} on the same disk" if reserve else ""
    has = f"{free // _MIB} of {size // _MIB} GiB are free"
    held = sum(gib for gib in wanted.values()) - -(-needed // _MIB)
    if held > 0:
        has += f", and the volumes hold {held} GiB already"
    keys = ", ".join(f"argus:{service}.volumeGiB" for service in wanted)
    return (
        f"its volumes do not fit: {sum(wanted.values())} GiB ({listed}){others}, where {has}: lower {keys}, or give"
        f" {VOLUMES_ROOT} a larger disk"
    )


def _held(service: str, volumes: Sequence[str]) -> int:
    """What a volume holds already (MiB); as much as there can be, where that is not known."""
    for name, _, used in map(str.split, volumes):
        if name == service:
            return 2**40 if used == _UNKNOWN else int(used)
    return 0


def reserve_gib(*, member: bool, minimum_disk_gib: int) -> int:
    """What else must fit on the disk (GiB): on a new machine its images and records, on any what kubelets keep free."""
    return EVICTION_GIB if member else max(EVICTION_GIB, minimum_disk_gib)
