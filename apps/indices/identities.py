"""Sets of results' identities that take 8 bytes a result, so that a day of them fits into a small pod."""

from array import array
from collections import defaultdict
from typing import NamedTuple, Self

from apps.messages import Result, hour_of, result_id


class Slot(NamedTuple):
    """One camera's results of one model in one hour (`2026-11-23T22`), or its frames: these have an empty model."""

    hour: str
    camera: str
    model: str

    @classmethod
    def of(cls, result: Result) -> Self:
        """The slot of a result."""
        return cls(hour_of(result.captured_at), result.camera, result.model)

    @property
    def frames(self) -> Self:
        """The slot of the frames of these results."""
        return self._replace(model="")

    def name(self, sequence: int) -> str:
        """The identity of the result, or frame, with this sequence."""
        return result_id(self.camera, sequence, self.model) if self.model else f"{self.camera}/{sequence}"


class Identities:
    """A set of identities, by slot. Adding one twice is allowed."""

    def __init__(self) -> None:
        self._sequences: defaultdict[Slot, array[int]] = defaultdict(lambda: array("q"))

    def add(self, slot: Slot, sequence: int) -> None:
        """Add the identity of one result."""
        self._sequences[slot].append(sequence)

    def __len__(self) -> int:
        return sum(len(set(sequences)) for sequences in self._sequences.values())

    @property
    def slots(self) -> set[Slot]:
        """The slots that have an identity."""
        return set(self._sequences)

    @property
    def hours(self) -> set[str]:
        """The hours of all slots."""
        return {slot.hour for slot in self._sequences}

    def of(self, slot: Slot) -> set[int]:
        """The sequences in one slot."""
        return set(self._sequences[slot]) if slot in self._sequences else set()
