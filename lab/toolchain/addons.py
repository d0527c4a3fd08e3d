"""The images of optional parts of a cluster, under the names that their pods use.

KEDA and the Vertical Pod Autoscaler, which Argus installs where pods scale; kube-router, a pod network whose manifest a
stack may name. They are built only for a stack that uses them: see releases.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.config import REGISTRY
from lab.toolchain import Toolchain
from lab.toolchain.images import BASE, Image, build_images, ensure_base
from lab.toolchain.releases import KEDA, KUBE_ROUTER, VPA, Release


def _alone(program: str) -> str:
    return f'FROM scratch\nCOPY {program} /\nENTRYPOINT ["/{program}"]\n'


def _kube_router(program: str) -> str:
    """Debian with kube-router and the programs that it calls."""
    return f"""FROM {BASE}
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends conntrack ipset iproute2 iptables kmod \\
 && rm -rf /var/lib/apt/lists/*
COPY {program} /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/{program}"]
"""


@dataclass(frozen=True, kw_only=True)
class Addon:
    """An optional part of a cluster, with one image per program."""

    title: str
    minutes: int
    """Duration of the first build on two idle cores."""
    release: Release
    repositories: Mapping[str, str]
    """The image's name without a tag, by its program."""
    tag: Callable[[str], str] = lambda version: version.removeprefix("v")
    """Makes the tag of upstream's image from the module's version."""
    recipe: Callable[[str], str] = _alone

    def images(self) -> tuple[Image, ...]:
        """The images."""
        (group,) = self.release.groups
        return tuple(
            Image(
                name=f"{repository}:{self.tag(group.version())}",
                group=group.name,
                programs=(program,),
                recipe=self.recipe(program),
            )
            for program, repository in self.repositories.items()
        )

    def ensure_images(self, toolchain: Toolchain, registry: str = REGISTRY) -> tuple[str, ...]:
        """Build images that are missing or outdated; return the full name of each."""
        return build_images(self.images(), toolchain, ensure_base(), registry)


ADDONS: Final = {
    "keda": Addon(
        title="KEDA",
        minutes=8,
        release=KEDA,
        repositories={"keda": "kedacore/keda", "keda-adapter": "kedacore/keda-metrics-apiserver"},
    ),
    "vpa": Addon(
        title="the Vertical Pod Autoscaler",
        minutes=3,
        release=VPA,
        repositories={
            f"vpa-{part}": f"autoscaling/vpa-{part}" for part in ("admission-controller", "recommender", "updater")
        },
    ),
    "kube-router": Addon(
        title="kube-router",
        minutes=3,
        release=KUBE_ROUTER,
        repositories={"kube-router": "cloudnativelabs/kube-router"},
        tag=str,
        recipe=_kube_router,
    ),
}
