"""Deletes hours that are too old, then the oldest until the rest fits on the disk; never the current hour.

An hour that is ahead of the clock, because the clock of a producer or of this machine was wrong, counts as the hour in
which it was last written. So it goes with the frames that came at the same time.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from apps.consumer import metrics
from apps.consumer.clocks import BrokersClock
from apps.consumer.storage import DiskStore, HourDirectory
from apps.messages import hour_of
from apps.messages.frame import CLOCK_TOLERANCE

logger = logging.getLogger(__name__)

Age = Callable[[HourDirectory], str]
"""The hour that a directory counts as."""


def named_hour(directory: HourDirectory) -> str:
    """The hour in the directory's name."""
    return directory.hour


def oldest_kept(now: datetime, retention_hours: int) -> str:
    """The first hour to keep: the current one is one of `retention_hours`."""
    return hour_of(now - timedelta(hours=retention_hours - 1))


def expired(
    hours: Iterable[HourDirectory], now: datetime, retention_hours: int, age: Age = named_hour
) -> list[HourDirectory]:
    """The hours that are too old."""
    first = oldest_kept(now, retention_hours)
    return sorted(directory for directory in hours if age(directory) < first)


def surplus(
    hours: Iterable[HourDirectory],
    size: Callable[[HourDirectory], int],
    now: datetime,
    max_bytes: int,
    age: Age = named_hour,
) -> list[HourDirectory]:
    """The oldest hours to remove so that the rest fits in `max_bytes`; never the current hour or a later one."""
    ordered = sorted(hours, key=lambda directory: (age(directory), directory))
    excess = sum(size(directory) for directory in ordered) - max_bytes
    current = hour_of(now)
    removable: list[HourDirectory] = []
    for directory in ordered:
        if excess <= 0 or age(directory) >= current:
            break
        removable.append(directory)
        excess -= size(directory)
    return removable


class Retention:
    """Applies both rules to a store, in a separate thread."""

    def __init__(
        self,
        store: DiskStore,
        *,
        retention_hours: int,
        max_bytes: int,
        every_seconds: float,
        brokers_clock: BrokersClock | None = None,
    ) -> None:
        """An hour is removed for its age only if it is too old by this machine's clock and by the brokers'."""
        self._store = store
        self._brokers_clock = brokers_clock or BrokersClock()
        self._retention_hours = retention_hours
        self._max_bytes = max_bytes
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Run `apply` at once and then periodically."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after the hour that it is removing, and wait for it."""
        self._stop.set()
        self._thread.join()

    def apply(self, now: datetime) -> int:
        """Remove hours that are too old or do not fit. Returns how many were removed."""
        age, earlier = self._age(now), self._brokers_clock.earlier(now)
        removed = self._remove(expired(self._store.hours(), earlier, self._retention_hours, age), "age", now)
        too_much = surplus(self._store.hours(), self._store.size, now, self._max_bytes, age)
        removed += self._remove(too_much, "bytes", now)
        metrics.DISK_BYTES.set(sum(self._store.size(directory) for directory in self._store.hours()))
        return removed

    def make_room(self) -> bool:
        """Remove the oldest hour because the disk is full. Returns whether one was removed."""
        now = datetime.now(UTC)
        age = self._age(now)
        oldest = min(self._store.hours(), key=lambda directory: (age(directory), directory), default=None)
        if oldest is None or age(oldest) >= hour_of(now):
            return False
        return self._remove([oldest], "disk full", now) > 0

    def kept_from(self) -> str:
        """The oldest hour that is not removed for its age."""
        return oldest_kept(self._brokers_clock.earlier(datetime.now(UTC)), self._retention_hours)

    def _age(self, now: datetime) -> Age:
        latest = hour_of(now + CLOCK_TOLERANCE)

        def age(directory: HourDirectory) -> str:
            return directory.hour if directory.hour <= latest else hour_of(self._store.written_at(directory, now))

        return age

    def _remove(self, removable: list[HourDirectory], why: str, now: datetime) -> int:
        removed = []
        for directory in removable:
            if self._stop.is_set():
                break
            try:
                self._store.remove(directory)
            except OSError as error:
                logger.warning(
                    "%s of %s stays, as the disk lets nothing of it go: %s", directory.hour, directory.camera, error
                )
                continue
            metrics.REMOVED_HOURS.labels(why).inc()
            logger.info("removed %s of %s (%s)", directory.hour, directory.camera, why)
            removed.append(directory)
        # Of an hour that is ahead of the clock, nothing follows for the hours before it.
        latest = hour_of(now + CLOCK_TOLERANCE)
        if past := [directory for directory in removed if directory.hour <= latest]:
            self._store.note_removed(past)
        return len(removed)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.apply(datetime.now(UTC))
            except OSError:
                logger.exception("retention failed; it is tried again in %.0f s", self._every_seconds)
            self._stop.wait(self._every_seconds)
