"""Podman, with the lab's own settings instead of the host's."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.config import ROOT, LabError
from lab.shell import run

ENVIRONMENT = {"CONTAINERS_CONF": str(ROOT / "lab/containers.conf")}
_REMOVE_SECONDS = 600
_PAUSE_TRIES = 5
_EXITS = Path("/run/libpod/exits")
"""A container's monitor writes the exit status here, from which Podman learns that the container ended."""


def podman(*arguments: str, timeout: float = 120, check: bool = True, log: Path | None = None) -> str:
    """The stripped output of `podman ARGUMENTS`; empty if it goes to a log. Raises LabError."""
    done = run(["podman", *arguments], env=ENVIRONMENT, timeout=timeout, check=check, log=log)
    return (done.stdout or "").strip()


def succeeds(*arguments: str, timeout: float = 120) -> bool:
    """Whether `podman ARGUMENTS` exits with status 0. Raises LabError if it does not end."""
    return run(["podman", *arguments], env=ENVIRONMENT, timeout=timeout, check=False).returncode == 0


def inspect_container(name: str) -> dict[str, Any] | None:
    """The output of `podman container inspect`, or None if there is no such container."""
    if not succeeds("container", "exists", name):
        return None
    container = _inspect(name)
    if container["State"]["Status"] in {"running", "stopping"} and not _monitored(container):
        (_EXITS / container["Id"]).write_text("137")
        container = _inspect(name)
    return container


def running(name: str) -> bool:
    """Whether a container of that name is running."""
    container = inspect_container(name)
    return container is not None and bool(container["State"]["Running"])


def pause(name: str) -> None:
    """Freeze a container. The freezer gives up where processes are made faster than it stops them; then once more."""
    for _ in range(_PAUSE_TRIES - 1):
        if succeeds("pause", name):
            return
    podman("pause", name)


def unpause(name: str) -> None:
    """Let a frozen container go on; one that is not frozen stays as it is."""
    if (container := inspect_container(name)) is not None and container["State"]["Status"] == "paused":
        podman("unpause", name)


def remove_container(name: str) -> None:
    """Remove a container, in any state, with its anonymous volumes."""
    if inspect_container(name) is not None:
        remove_containers([name])


def remove_containers(names: Iterable[str]) -> None:
    """Remove several existing containers in parallel. They are killed: nothing of them is kept."""
    remove = ("rm", "--force", "--ignore", "--volumes", "--time=0", *names)
    if not succeeds(*remove, timeout=_REMOVE_SECONDS):
        # Podman gives a killed machine 10 s to end its processes, of which a busy host needs more.
        podman(*remove, timeout=_REMOVE_SECONDS)


def create_volume(name: str, label: str) -> None:
    """Make an empty volume.

    A removal that is cut short forgets the volume before all of its files are gone; a new one of its name has the rest.
    """
    podman("volume", "create", f"--label={label}", name)
    folder = Path(podman("volume", "inspect", "--format", "{{.Mountpoint}}", name).strip())
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def remove_volume(name: str) -> None:
    """Remove a volume, which no container must use. With the files of a day in it that takes minutes on a busy host."""
    podman("volume", "rm", "--force", name, timeout=_REMOVE_SECONDS)


def labelled(kind: str, label: str) -> list[str]:
    """The names of all containers (kind `ps`) or volumes (kind `volume`) with the label."""
    if kind == "ps":
        return podman("ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}").split()
    if kind == "volume":
        return podman("volume", "ls", "--filter", f"label={label}", "--format", "{{.Name}}").split()
    raise LabError(f"no list of {kind}")


def _inspect(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(podman("container", "inspect", name))
    return found[0]


def _monitored(container: dict[str, Any]) -> bool:
    """Whether the container's monitor runs. If it was killed, it left no exit status, and Podman reports `running`."""
    try:
        return Path(f"/proc/{container['State']['ConmonPid']}/comm").read_text() == "conmon\n"
    except (FileNotFoundError, ProcessLookupError):
        return False
