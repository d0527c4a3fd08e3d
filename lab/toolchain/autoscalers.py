"""The images of KEDA and of the Vertical Pod Autoscaler, under the names that their pods pull them by.

Only a stack that asks for one has it built: see releases.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lab.config import REGISTRY
from lab.toolchain import Toolchain
from lab.toolchain.images import Image, build_images
from lab.toolchain.releases import KEDA, VPA, Release


@dataclass(frozen=True, kw_only=True)
class Autoscaler:
    """One of them, and an image of each of its programs."""

    title: str
    minutes: int
    """What the first build takes on two free cores."""
    release: Release
    repositories: Mapping[str, str]
    """The image's name without a tag, by the program in it."""

    def images(self) -> tuple[Image, ...]:
        """The images, tagged as upstream's are: by the version without its v."""
        (group,) = self.release.groups
        tag = group.version().removeprefix("v")
        return tuple(
            Image(
                name=f"{repository}:{tag}",
                group=group.name,
                programs=(program,),
                recipe=f'FROM scratch\nCOPY {program} /\nENTRYPOINT ["/{program}"]\n',
            )
            for program, repository in self.repositories.items()
        )

    def ensure_images(self, toolchain: Toolchain, registry: str = REGISTRY) -> tuple[str, ...]:
        """Build what is missing or out of date; the full name of each."""
        return build_images(self.images(), toolchain, base_id="", registry=registry)


AUTOSCALERS: Final = {
    "keda": Autoscaler(
        title="KEDA",
        minutes=8,
        release=KEDA,
        repositories={"keda": "kedacore/keda", "keda-adapter": "kedacore/keda-metrics-apiserver"},
    ),
    "vpa": Autoscaler(
        title="the Vertical Pod Autoscaler",
        minutes=3,
        release=VPA,
        repositories={
            f"vpa-{part}": f"autoscaling/vpa-{part}" for part in ("admission-controller", "recommender", "updater")
        },
    ),
}
