"""The Kubernetes releases that the lab can build: its own, and the previous one, to test upgrades.

Kubernetes' conformance tests are a separate release, which only `make conformance` builds. So are KEDA, whose build
takes as long as Kubernetes', the Vertical Pod Autoscaler and kube-router, built only for a stack that uses them, and
cosign, which only tests use.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from lab.config import CACHE, TOOLS
from lab.toolchain.go_programs import (
    CONFORMANCE_GROUPS,
    COSIGN_GROUP,
    GROUPS,
    KEDA_GROUP,
    KUBE_ROUTER_GROUP,
    SOURCES,
    VPA_GROUP,
    GoGroup,
)


@dataclass(frozen=True, kw_only=True)
class Release:
    """Groups of programs that are built together, such as one version of Kubernetes."""

    groups: tuple[GoGroup, ...]
    store: Path
    """Holds each group's programs, by a hash of their inputs."""
    bin: Path
    """Holds only a link to each program of the current build."""

    @property
    def version(self) -> str:
        """The Kubernetes version, with a leading v."""
        return next(group.version() for group in self.groups if group.version_of == "k8s.io/kubernetes")


def _own(name: str) -> GoGroup:
    return next(group for group in GROUPS if group.name == name)


def _older(name: str) -> GoGroup:
    """A group of the lab's own release, with the pins of the previous release."""
    return replace(_own(name), pins=SOURCES / "previous" / name)


OWN = Release(groups=GROUPS, store=CACHE / "toolchain", bin=TOOLS)
PREVIOUS = Release(
    groups=(_older("kubernetes"), _older("etcd"), _older("coredns"), _own("pause")),
    # A separate store: a build locks its store for many minutes, and `lab up` must not wait for that.
    store=CACHE / "previous" / "toolchain",
    bin=CACHE / "previous" / "bin",
)
CONFORMANCE = Release(
    groups=CONFORMANCE_GROUPS,
    store=CACHE / "conformance" / "toolchain",
    bin=CACHE / "conformance" / "bin",
)
KEDA = Release(groups=(KEDA_GROUP,), store=CACHE / "keda" / "toolchain", bin=CACHE / "keda" / "bin")
KUBE_ROUTER = Release(
    groups=(KUBE_ROUTER_GROUP,),
    store=CACHE / "kube-router" / "toolchain",
    bin=CACHE / "kube-router" / "bin",
)
VPA = Release(groups=(VPA_GROUP,), store=CACHE / "vpa" / "toolchain", bin=CACHE / "vpa" / "bin")
COSIGN = Release(groups=(COSIGN_GROUP,), store=CACHE / "cosign" / "toolchain", bin=CACHE / "cosign" / "bin")
