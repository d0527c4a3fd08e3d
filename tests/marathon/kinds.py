"""All kinds of fault."""

from collections.abc import Sequence
from typing import Final

from lab.config import LabError
from tests.marathon.clock import ClockStepped
from tests.marathon.fault import Fault
from tests.marathon.late import PacketsLate
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
        ClockStepped(),
        PacketsLost(),
        PacketsLate(),
        DnsAway(),
    )
}


def kinds_of(names: Sequence[str]) -> dict[str, Fault]:
    """These kinds, or all without a name. Raises LabError that names the kinds there are."""
    for name in names:
        if name not in KINDS:
            raise LabError(f"FAULTS: there is no kind {name!r}; there are {', '.join(KINDS)}")
    return {name: KINDS[name] for name in (names or KINDS)}
