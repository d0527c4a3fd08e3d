"""What each kind of fault is: how it begins, how the log proves that it took effect, and how it is undone."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lab.config import LabError, machine
from lab.podman import inspect_container
from tests.e2e.cluster import ClusterClient
from tests.e2e.waiting import wait_until

Aim = dict[str, Any]
"""What a fault is aimed at, and what was there before, as JSON: with it alone the fault can be undone, also by another
process after this one died."""

PROOF_LIMIT_S = 60
"""How long the proof of a fault may take to be seen, beyond the time that the fault is held."""
OVERTIME_S = PROOF_LIMIT_S + 60
"""How much longer than planned a fault may stand, its proof and its beginning on a busy host included."""


class UnprovenError(Exception):
    """Nothing shows that a fault took effect, so the run says nothing about it."""


@dataclass
class Scene:
    """The running lab that the faults are caused on."""

    cluster: ClusterClient
    say: Callable[[str], None] = print
    results_refused: bool = field(default=False)
    """Whether an index refused results, which Filebeat then gave up: the comparison must send them again."""


class Fault(ABC):
    """A kind of fault. One that needs no time to act has a hold of 0 seconds."""

    name: ClassVar[str]
    hold_s: ClassVar[tuple[float, float]]
    """The least and the most seconds that it stands."""

    @abstractmethod
    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        """Choose the target and look at it; nothing changes. Raises UnprovenError if there is none that is whole."""

    @abstractmethod
    def begin(self, scene: Scene, aim: Aim) -> None:
        """Cause the fault."""

    @abstractmethod
    def proof(self, scene: Scene, aim: Aim) -> str:
        """What shows, while the fault stands, that it took effect. Raises UnprovenError or an assertion if nothing."""

    @abstractmethod
    def end(self, scene: Scene, aim: Aim) -> None:
        """Undo the fault. It may be called twice, and where the fault was not begun."""

    def missing(self, scene: Scene, aim: Aim) -> str | None:
        """What this fault's own target still lacks afterwards, beside what the whole stack needs; None if nothing."""
        return None


def prove(description: str, check: Callable[[], str | None], limit_s: float = PROOF_LIMIT_S) -> None:
    """Wait until `check` returns None. Raises UnprovenError with what it returned last."""
    try:
        wait_until(description, check, limit_s=limit_s, pause_s=1)
    except AssertionError as error:
        raise UnprovenError(str(error)) from None


def process_of_machine(name: str) -> int:
    """The process on this host whose network is that of the machine. Raises LabError if it does not run."""
    container = inspect_container(machine(name).container)
    process = int(container["State"]["Pid"]) if container is not None else 0
    if not process:
        raise LabError(f"{name} does not run")
    return process
