"""Podman, with the lab's own settings whatever the host's are."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.config import ROOT, LabError
from lab.shell import run

ENVIRONMENT = {"CONTAINERS_CONF": str(ROOT / "lab/containers.conf")}
_REMOVE_SECONDS = 180
_EXITS = Path("/run/libpod/exits")
"""Where a container's monitor leaves its exit status, which is how Podman learns that a container ended."""


def podman(*arguments: str, timeout: float = 120, check: bool = True, log: Path | None = None) -> str:
    """What `podman ARGUMENTS` prints, stripped; nothing where it goes to a log. Raises LabError."""
    done = run(["podman", *arguments], env=ENVIRONMENT, timeout=timeout, check=check, log=log)
    return (done.stdout or "").strip()


def succeeds(*arguments: str) -> bool:
    """Whether `podman ARGUMENTS` exits with 0, for its `exists` commands."""
    return run(["podman", *arguments], env=ENVIRONMENT, check=False).returncode == 0


def inspect_container(name: str) -> dict[str, Any] | None:
    """What podman knows of a container, or None when there is none of that name."""
    if not succeeds("container", "exists", name):
        return None
    container = _inspect(name)
    if container["State"]["Status"] in {"running", "stopping"} and not _monitored(container):
        (_EXITS / container["Id"]).write_text("137")
        container = _inspect(name)
    return container


def running(name: str) -> bool:
    """Whether a container of that name runs."""
    container = inspect_container(name)
    return container is not None and bool(container["State"]["Running"])


def remove_container(name: str) -> None:
    """Remove a container with its anonymous volumes, in whatever state it is."""
    if inspect_container(name) is not None:
        remove_containers([name])


def remove_containers(names: Iterable[str]) -> None:
    """The same for several that exist, side by side. Nothing is kept of them, so they need not stop in order."""
    podman("rm", "--force", "--volumes", "--time=0", *names, timeout=_REMOVE_SECONDS)


def labelled(kind: str, label: str) -> list[str]:
    """The names of all containers (kind `ps`) or volumes (kind `volume`) that carry the label."""
    if kind == "ps":
        return podman("ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}").split()
    if kind == "volume":
        return podman("volume", "ls", "--filter", f"label={label}", "--format", "{{.Name}}").split()
    raise LabError(f"no list of {kind}")


def _inspect(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(podman("container", "inspect", name))
    return found[0]


def _monitored(container: dict[str, Any]) -> bool:
    """Whether the container's monitor lives. One that was killed left no exit status: Podman sees the container run."""
    try:
        return Path(f"/proc/{container['State']['ConmonPid']}/comm").read_text() == "conmon\n"
    except (FileNotFoundError, ProcessLookupError):
        return False
