"""Computes when a camera's next frame is due, and how long to wait for a camera that is down."""

import random


class Pace:
    """Due times a fixed interval apart, shifted by `phase` (0..1) so that the cameras of a producer take turns.

    A late camera skips the slots that it missed: it never catches up in a burst.
    """

    def __init__(self, frames_per_second: float, phase: float, start: float) -> None:
        self.interval = 1 / frames_per_second
        self._due = start + phase * self.interval

    def next_due(self, now: float) -> float:
        """Take the next slot and return its time."""
        behind = now - self._due
        if behind > self.interval:
            self._due += int(behind / self.interval) * self.interval
        due = self._due
        self._due += self.interval
        return due


class Backoff:
    """Waiting times that double with each failure, with jitter so that cameras do not retry together."""

    def __init__(self, first: float = 0.5, longest: float = 30.0, roll: random.Random | None = None) -> None:
        self._first, self._longest = first, longest
        self._roll = roll or random.Random()
        self._failures = 0

    def wait(self) -> float:
        """The seconds to wait after one more failure: between half and all of the current step."""
        step = min(self._longest, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return step * self._roll.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Forget the failures, because the camera works."""
        self._failures = 0
