"""The lab's host tools and base images, built only from package registries: Go modules and Debian packages.

Everything is cached by a hash of its inputs, so a run does nothing if nothing changed.
"""

import fcntl
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.config import CACHE
from lab.progress import step
from lab.toolchain import go_compiler
from lab.toolchain.go_programs import PROVIDERS_GROUP, GoGroup, build
from lab.toolchain.releases import OWN, Release

LOGS = CACHE / "logs"


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The current build of every group of a release."""

    release: Release
    groups: dict[str, Path]
    """The folder of each group's programs, by the group's name; its parent's name ends with a hash of the inputs."""

    def program(self, name: str) -> Path:
        """The file of a program, by its name."""
        return (self.release.bin / name).resolve(strict=True)

    def key(self, group: str) -> str:
        """A key that changes when a group's programs change."""
        return self.groups[group].parent.name


def ensure(release: Release = OWN) -> Toolchain:
    """Build programs that are missing or outdated, and link all programs into the release's `bin`."""
    with _alone(release.store):
        groups = _ensure_groups(release.groups, release.store)
        programs = {program.name: program for folder in groups.values() for program in sorted(folder.iterdir())}
        for name, program in programs.items():
            _link(release.bin / name, program)
        for stranger in set(release.bin.iterdir()) - {release.bin / name for name in programs}:
            stranger.unlink()
    return Toolchain(release=release, groups=groups)


def ensure_providers() -> Path:
    """Build the replacements of Pulumi's plugins, which lab/toolchain/plugins.py installs; return their folder.

    They are not in `bin`, because Pulumi prefers a plugin on PATH, with a warning.
    """
    with _alone(OWN.store):
        return _ensure_groups((PROVIDERS_GROUP,), OWN.store)[PROVIDERS_GROUP.name]


def _ensure_groups(wanted: Iterable[GoGroup], store: Path) -> dict[str, Path]:
    go = go_compiler.ensure()
    return {group.name: _ensure_group(group, store, go) for group in wanted}


def _ensure_group(group: GoGroup, store: Path, go: go_compiler.Go) -> Path:
    destination = store / f"{group.name}-{group.key(go.version)}"
    if not destination.is_dir():
        build(group, destination, LOGS / f"{destination.name}.log", go)
    return destination / "bin"


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Lock the cache against other runs, and remove what an interrupted run left."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"waiting for another build in {store}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in store.glob(".*-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _link(link: Path, target: Path) -> None:
    """Replace a link atomically, so that no reader finds it missing.

    It is a hard link, because Pulumi's language host would look for its executor in a symbolic link's target folder.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.exists() and not link.is_symlink() and link.samefile(target):
        return
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.hardlink_to(target)
    fresh.replace(link)
