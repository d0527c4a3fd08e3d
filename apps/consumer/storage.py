"""The disk: `camera/hour/file` under one root, written so that committed records survive a power cut.

A file is written under a temporary name. `DiskStore.flush` syncs it, renames it and syncs its directory; after that the
caller commits to Kafka. A crash before the commit leaves temporary files, which the next start removes, and records
that Kafka delivers again, to the same names.
"""

import contextlib
import errno
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from apps.consumer.records import StoredFile
from apps.messages.identity import FILE, HOUR
from apps.messages.names import NAME

TEMPORARY_SUFFIX = ".tmp"
TRASH = ".trash"
REMOVED = ".removed.json"
"""The newest hour that was removed of each camera: what is older is missing because it was to go."""

MOST_REMOVED = 10_000
"""The most cameras whose removed hours are remembered; the others are those of the oldest hours."""

BLOCK = 4096
"""What file systems give to files in whole numbers (bytes): a result of 500 bytes takes as much."""

SYNC_THREADS = 8
"""Concurrent fsyncs share one commit of the file system's journal, so a batch costs little more than one file."""


def is_full(error: OSError) -> bool:
    """Whether the disk refused because it has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, order=True)
class HourDirectory:
    """One camera's directory of one hour, ordered by age, then by camera."""

    hour: str
    camera: str


@dataclass(frozen=True)
class _Pending:
    directory: HourDirectory
    descriptor: int
    temporary: Path
    final: Path


class DiskStore:
    """Writes and removes files under `root`. One thread may write while another removes.

    Two stores may share a root if they write under different temporary names.
    """

    def __init__(self, root: Path, suffix: str = TEMPORARY_SUFFIX) -> None:
        """`suffix` is that of the temporary names, and ends with TEMPORARY_SUFFIX."""
        self.root = root
        self._suffix = suffix
        self._pending: list[_Pending] = []
        self._lock = threading.Lock()
        self._syncers = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="fsync")
        self._sizes: dict[HourDirectory, tuple[int, int]] = {}
        root.mkdir(parents=True, exist_ok=True)
        # Made now, because a full disk has no room for a directory, and what is removed goes there first.
        with contextlib.suppress(OSError):
            (root / TRASH).mkdir(exist_ok=True)

    def remove_leftovers(self) -> int:
        """Remove an interrupted run's partly removed hours and temporary files. Returns how many of the latter."""
        for hour in _subdirectories(self.root / TRASH):
            shutil.rmtree(self.root / TRASH / hour, ignore_errors=True)
        count = 0
        for directory in self.hours():
            for path in self._path(directory).glob(f".*{TEMPORARY_SUFFIX}"):
                path.unlink(missing_ok=True)
                count += 1
        return count

    def write(self, file: StoredFile) -> None:
        """Write a file under its temporary name. Removes it and raises OSError if the disk refuses."""
        final = self.root / file.path
        temporary = final.with_name(f".{final.name}{self._suffix}")
        with self._lock:
            self._make_directory(final.parent)
            descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                view = memoryview(file.data)
                while view:
                    view = view[os.write(descriptor, view) :]
            except OSError:
                os.close(descriptor)
                temporary.unlink(missing_ok=True)
                raise
            directory = HourDirectory(hour=file.path.parts[1], camera=file.path.parts[0])
            self._pending.append(_Pending(directory, descriptor, temporary, final))

    def flush(self) -> int:
        """Make all files written so far durable and visible. Returns how many there were.

        Raises OSError if the disk refuses. Then any of them may be missing, and none is left under its temporary name.
        """
        with self._lock:
            pending, self._pending = self._pending, []
            refused = list(filter(None, self._syncers.map(_sync, pending)))
            for file in pending:
                os.close(file.descriptor)
            try:
                if refused:
                    raise refused[0]
                for file in pending:
                    # A record that is twice in a batch shares one temporary file, which the first rename moves.
                    with contextlib.suppress(FileNotFoundError):
                        file.temporary.rename(file.final)
                list(self._syncers.map(_sync_directory, {file.final.parent for file in pending}))
            except OSError:
                for file in pending:
                    file.temporary.unlink(missing_ok=True)
                raise
        return len(pending)

    def hours(self) -> list[HourDirectory]:
        """Every hour of every camera, oldest first."""
        return sorted(
            HourDirectory(hour, camera)
            for camera in self.cameras()
            for hour in _subdirectories(self.root / camera)
            if HOUR.fullmatch(hour)
        )

    def cameras(self) -> list[str]:
        """The cameras that have a directory."""
        return sorted(name for name in _subdirectories(self.root) if NAME.fullmatch(name))

    def files(self, directory: HourDirectory) -> list[str]:
        """The sorted file names of one hour of one camera; empty if there is no such hour."""
        try:
            return sorted(name for name in os.listdir(self._path(directory)) if FILE.fullmatch(name))  # noqa: PTH208
        except FileNotFoundError:
            return []

    def open(self, directory: HourDirectory, name: str) -> BinaryIO:
        """Open a stored file for reading. Raises FileNotFoundError."""
        return (self._path(directory) / name).open("rb")

    def size(self, directory: HourDirectory) -> int:
        """The bytes that one hour takes; 0 if it is gone. Only hours changed since the last call are read again."""
        path = self._path(directory)
        try:
            changed = path.stat().st_mtime_ns
            cached = self._sizes.get(directory)
            if cached is None or cached[0] != changed:
                with os.scandir(path) as entries:
                    cached = (changed, sum(_blocks(entry.stat().st_size) for entry in entries))
                self._sizes[directory] = cached
        except FileNotFoundError:
            return 0
        return cached[1]

    def written_at(self, directory: HourDirectory, now: datetime) -> datetime:
        """When a file was last added to an hour, at most `now`; `now` if the hour is gone.

        A time ahead of `now` is from a wrong clock: it becomes `now`, on the disk too, so that the hour ages from here.
        """
        path = self._path(directory)
        try:
            written = path.stat().st_mtime
            if written > now.timestamp():
                os.utime(path, (now.timestamp(), now.timestamp()))
                return now
            return datetime.fromtimestamp(written, UTC)
        except FileNotFoundError:
            return now

    def remove(self, directory: HourDirectory) -> None:
        """Remove one hour, and its camera's directory if it was the last. Raises OSError if all of it stays."""
        trashed = self.root / TRASH / f"{directory.camera}.{directory.hour}"
        with self._lock:
            self._drop_pending(directory)
            try:
                self._path(directory).rename(trashed)
            except OSError:
                # There is no trash, or a full disk has no room for its new entry. What remains is an hour with less.
                before = _entries(self._path(directory))
                shutil.rmtree(self._path(directory), ignore_errors=True)
                if before and _entries(self._path(directory)) == before:
                    raise
            with contextlib.suppress(OSError):
                (self.root / directory.camera).rmdir()
        shutil.rmtree(trashed, ignore_errors=True)
        self._sizes.pop(directory, None)

    def removed(self) -> Mapping[str, str]:
        """The newest hour that was removed of each camera; empty if that is not known."""
        try:
            found = json.loads((self.root / REMOVED).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {camera: hour for camera, hour in found.items() if isinstance(hour, str)}

    def note_removed(self, directories: Iterable[HourDirectory]) -> None:
        """Remember that these hours were removed because they were to go, or try to."""
        hours = dict(self.removed())
        for directory in directories:
            hours[directory.camera] = max(directory.hour, hours.get(directory.camera, ""))
        newest = sorted(hours.items(), key=lambda item: item[1])[-MOST_REMOVED:]
        new = self.root / f"{REMOVED}{TEMPORARY_SUFFIX}"
        with contextlib.suppress(OSError):
            new.write_text(json.dumps(dict(newest)), encoding="utf-8")
            new.replace(self.root / REMOVED)

    def close(self) -> None:
        """Drop the files that were not flushed."""
        with self._lock:
            for file in self._pending:
                os.close(file.descriptor)
                file.temporary.unlink(missing_ok=True)
            self._pending = []
        self._syncers.shutdown()

    def _make_directory(self, path: Path) -> None:
        if path.is_dir():
            return
        path.mkdir(parents=True, exist_ok=True)
        _sync_directory(path.parent)
        _sync_directory(self.root)

    def _drop_pending(self, directory: HourDirectory) -> None:
        for file in self._pending:
            if file.directory == directory:
                os.close(file.descriptor)
        self._pending = [file for file in self._pending if file.directory != directory]

    def _path(self, directory: HourDirectory) -> Path:
        return self.root / directory.camera / directory.hour


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _sync(file: _Pending) -> OSError | None:
    """The error of a file that cannot be made durable."""
    try:
        os.fsync(file.descriptor)
    except OSError as error:
        return error
    return None


def _entries(path: Path) -> int:
    """How many entries a directory has; none if there is no such directory."""
    try:
        return sum(1 for _ in path.iterdir())
    except FileNotFoundError:
        return 0


def _subdirectories(path: Path) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            yield from [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return


def _sync_directory(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
