"""All kinds of fault, and those that are left out, with the reason."""

from collections.abc import Sequence
from typing import Final

from lab.config import LabError
from tests.marathon.fault import Fault
from tests.marathon.machines import CutOff, Frozen, Killed, PacketsLost
from tests.marathon.pods import PodDeleted, ProcessKilled, TwoStages
from tests.marathon.services import DiskFull, DnsAway, IndexBlocked

KINDS: Final[dict[str, Fault]] = {
    kind.name: kind
    for kind in (
        ProcessKilled(),
        PodDeleted(),
        TwoStages(),
        Frozen(),
        CutOff(),
        Killed(),
        DiskFull(),
        IndexBlocked(),
        PacketsLost(),
        DnsAway(),
    )
}

LEFT_OUT: Final = {
    "packets-late": "the lab's kernel has no netem, and there is no proxy for it yet",
    "clock-stepped": "libfaketime must be loaded by a container's first process, and no image of the stack has it",
}


def kinds_of(names: Sequence[str]) -> dict[str, Fault]:
    """These kinds, or all without a name. Raises LabError that names the kinds there are."""
    for name in names:
        if name in LEFT_OUT:
            raise LabError(f"FAULTS: {name} is left out: {LEFT_OUT[name]}")
        if name not in KINDS:
            raise LabError(f"FAULTS: there is no kind {name!r}; there are {', '.join(KINDS)}")
    return {name: KINDS[name] for name in (names or KINDS)}
