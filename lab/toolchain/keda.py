"""KEDA's images, under the names that its manifests pull them by."""

from lab.config import REGISTRY
from lab.toolchain import Toolchain
from lab.toolchain.go_programs import KEDA_GROUP
from lab.toolchain.images import Image, build_images


def images(version: str) -> tuple[Image, ...]:
    """Both images, given KEDA's version without a leading v."""
    return (
        _image(f"kedacore/keda:{version}", "keda"),
        _image(f"kedacore/keda-metrics-apiserver:{version}", "keda-adapter"),
    )


def ensure_images(toolchain: Toolchain, registry: str = REGISTRY) -> tuple[str, ...]:
    """Build what is missing or out of date; the full name of each."""
    return build_images(images(KEDA_GROUP.version().removeprefix("v")), toolchain, base_id="", registry=registry)


def _image(name: str, program: str) -> Image:
    recipe = f'FROM scratch\nCOPY {program} /\nENTRYPOINT ["/{program}"]\n'
    return Image(name=name, group=KEDA_GROUP.name, programs=(program,), recipe=recipe)
