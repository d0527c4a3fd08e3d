"""The time by this machine's clock and by the brokers', so that one wrong clock deletes nothing."""

import time
from datetime import datetime, timedelta


class BrokersClock:
    """The brokers' time, from the newest record read. One thread may tell it while others ask."""

    def __init__(self) -> None:
        self._told: tuple[datetime, float] | None = None

    def told(self, taken_at: datetime) -> None:
        """A record has been read that a broker took at this time."""
        self._told = taken_at, time.monotonic()

    def earlier(self, now: datetime) -> datetime:
        """`now`, which is this machine's time, or the brokers' if that is earlier and known.

        While the consumer reads old records it is late by as much as these are old.
        """
        if self._told is None:
            return now
        taken_at, read_at = self._told
        return min(now, taken_at + timedelta(seconds=time.monotonic() - read_at))
