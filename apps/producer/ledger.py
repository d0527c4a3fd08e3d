"""Tracks every frame with an identity: queued, acknowledged or failed."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Account:
    """A camera's frames in this run of the producer.

    All from `first` to `last` are settled: acknowledged, except those in `failed`.
    """

    first: int | None
    last: int | None
    acked: int
    failed: tuple[int, ...]
    queued: int


class Ledger:
    """One camera's frames. `give` gives sequences without gaps; deliveries settle them in any order."""

    def __init__(self, first: int) -> None:
        self._lock = threading.Lock()
        self._first = first
        self._given = first
        self._settled = first
        self._ahead: set[int] = set()
        self._failed: list[int] = []

    @property
    def next_sequence(self) -> int:
        """The sequence of the next frame."""
        return self._given

    def give(self) -> int:
        """Give the next sequence to a frame that is about to be sent."""
        with self._lock:
            sequence = self._given
            self._given += 1
            return sequence

    def take_back(self) -> None:
        """Take back the last sequence: its frame was not sent."""
        with self._lock:
            self._given -= 1

    def settle(self, sequence: int, *, delivered: bool) -> None:
        """Record whether one frame was delivered."""
        with self._lock:
            if not delivered:
                self._failed.append(sequence)
            self._ahead.add(sequence)
            while self._settled in self._ahead:
                self._ahead.remove(self._settled)
                self._settled += 1

    def account(self) -> Account:
        """The present state."""
        with self._lock:
            settled = self._settled - self._first
            failed = tuple(sorted(self._failed))
            return Account(
                first=self._first if settled else None,
                last=self._settled - 1 if settled else None,
                acked=settled + len(self._ahead) - len(failed),
                failed=failed,
                queued=self._given - self._settled - len(self._ahead),
            )
