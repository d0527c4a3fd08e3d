"""Slows down whoever guesses. No I/O; times are seconds of `time.monotonic`."""

from collections import OrderedDict
from dataclasses import dataclass

LONGEST_WAIT_SECONDS = 60.0
"""Short enough that nobody is locked out for long by somebody else's guesses."""

FORGOTTEN_SECONDS = 900.0
MOST_KEYS = 10_000


@dataclass
class _Tries:
    count: int
    last: float


class Throttle:
    """Counts failed tries by key. After some free ones, each further one must wait twice as long as the one before."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """The seconds until the next try is allowed; 0 if it is now."""
        tries = self._tries.get(key)
        if tries is None or tries.count < self._free or now - tries.last > FORGOTTEN_SECONDS:
            return 0.0
        return max(0.0, tries.last + min(2.0 ** (tries.count - self._free), LONGEST_WAIT_SECONDS) - now)

    def tried(self, key: str, now: float) -> None:
        """Count a try as failed. Called before its outcome is known, so that tries at the same time count too."""
        tries = self._tries.pop(key, None)
        if tries is None or now - tries.last > FORGOTTEN_SECONDS:
            tries = _Tries(0, now)
        tries.count, tries.last = min(tries.count + 1, self._free + 10), now
        self._tries[key] = tries
        if len(self._tries) > MOST_KEYS:
            self._tries.popitem(last=False)

    def right(self, key: str, *, forget: bool) -> None:
        """The last try was right: it does not count, and with `forget` those before it do not either."""
        tries = self._tries.get(key)
        if tries is not None:
            tries.count = 0 if forget else max(0, tries.count - 1)
