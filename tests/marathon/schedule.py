"""Which faults a run causes, in which order, for how long: the same for the same seed and kinds."""

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = (5.0, 20.0)
"""The quiet before a fault, from when the stack is whole."""
DRAWS = 4


@dataclass(frozen=True)
class Planned:
    """One fault. `draws` in 0..1 choose its target among what is there when it begins, and its strength."""

    kind: str
    pause_s: float
    hold_s: float
    draws: tuple[float, ...]


def plan(seed: int, holds: Mapping[str, tuple[float, float]]) -> Iterator[Planned]:
    """The endless list of faults. `holds` has, by kind, the least and the most seconds that it stands.

    The runs of the seeds 1 and 2, 3 and 4 and so on share one order of all kinds, of which the second begins at the
    middle. So where half of the kinds fit into a run, two runs have all of them, and 20 runs each kind ten times.
    """
    if not holds:
        raise ValueError("no kind of fault is left to plan")
    order = random.Random(f"marathon order {(seed - 1) // 2}")
    draws = random.Random(f"marathon {seed}")
    kinds = sorted(holds)
    order.shuffle(kinds)
    if seed % 2 == 0:
        middle = (len(kinds) + 1) // 2
        kinds = kinds[middle:] + kinds[:middle]
    while True:
        for kind in kinds:
            yield Planned(
                kind=kind,
                pause_s=round(draws.uniform(*PAUSE_S), 1),
                hold_s=round(draws.uniform(*holds[kind]), 1),
                draws=tuple(round(draws.random(), 4) for _ in range(DRAWS)),
            )
        order.shuffle(kinds)


def chosen(draw: float, candidates: Collection[T]) -> T:
    """The candidate that a draw in 0..1 points at. Raises ValueError if there is none."""
    if not candidates:
        raise ValueError("there is nothing to choose from")
    return list(candidates)[min(int(draw * len(candidates)), len(candidates) - 1)]
