"""The Kubernetes release that the lab builds, and where its programs are."""

from dataclasses import dataclass
from pathlib import Path

from lab.config import CACHE, TOOLS
from lab.toolchain.go_programs import GROUPS, GoGroup


@dataclass(frozen=True, kw_only=True)
class Release:
    """One version of Kubernetes and what is built with it."""

    groups: tuple[GoGroup, ...]
    store: Path
    """Holds each group's programs, by the key of their inputs."""
    bin: Path
    """Holds a link to each program of the current build, and nothing else."""

    @property
    def version(self) -> str:
        """The version of Kubernetes, with a leading v."""
        return next(group.version() for group in self.groups if group.name == "kubernetes")


OWN = Release(groups=GROUPS, store=CACHE / "toolchain", bin=TOOLS)
