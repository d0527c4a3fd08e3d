"""The pipeline's images: built from containers/ and pushed to the stack's registry, tagged by their content."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pulumi
from pulumi_command import local

ROOT: Final = Path(__file__).parents[1]
SCRIPT: Final = "components/build_image.sh"
DEFAULT_WEIGHTS: Final = ROOT / "apps/spark_jobs/weights/objects"
"""Argus's own detector, for models that name no weights."""

_APP = ("apps/__init__.py", "apps/messages")
CONTENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "kafka": (),
    "zookeeper": (),
    "elasticsearch": (),
    "filebeat": (),
    "producer": (*_APP, "apps/scenes", "apps/producer"),
    "spark": (*_APP, "apps/spark_jobs"),
    "consumer": (*_APP, "apps/consumer"),
    "ui": (*_APP, "apps/ui"),
}
"""What each image is made of beside its own folder of containers/, as paths from the repository's root."""


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    """Where images go, and which are not built."""

    registry: str | None
    insecure: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)
    """Model to its weights, an OpenVINO export's folder or a .pt file: they become part of the spark image."""


class Images(pulumi.ComponentResource):
    """Builds and pushes what the registry lacks. It never deletes an image: a rollback may need it.

    A reference is known at preview, because it follows from the files; whoever uses one waits for the push.
    """

    refs: Mapping[str, pulumi.Output[str]]
    """Image name (a folder of containers/) to its reference."""

    def __init__(self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:Images", name, {}, opts)
        self.refs = {image: self._reference(f"{name}-{image}", image, args) for image in CONTENTS}
        self.register_outputs({"refs": dict(self.refs)})

    def _reference(self, name: str, image: str, args: ImagesArgs) -> pulumi.Output[str]:
        if image in args.overrides:
            return pulumi.Output.from_input(args.overrides[image])
        if args.registry is None:
            raise ValueError(f"image {image} is built, and there is no registry to push it to")
        weights = args.weights if image == "spark" else {}
        reference = f"{args.registry}/argus/{image}:{content_tag(image, weights)}"
        arguments = [image, reference, str(args.insecure).lower()]
        for model, path in sorted(weights.items()):
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            arguments += ["--weights", f"{model}={shown}"]
        arguments += [f"containers/{image}", *CONTENTS[image]]
        build = local.Command(
            name,
            create=shlex.join([SCRIPT, *arguments]),
            # Pulumi runs it in the program's folder. No delete: see the class.
            opts=pulumi.ResourceOptions(parent=self),
        )
        return build.urn.apply(lambda _: reference)


def content_tag(image: str, weights: Mapping[str, Path]) -> str:
    """The first 12 hexadecimal digits of a hash over everything that an image is made from."""
    content = hashlib.sha256()
    for path in sorted(_files(ROOT, (f"containers/{image}", *CONTENTS[image]))):
        _add(content, str(path.relative_to(ROOT)), path)
    for model, source in sorted(weights.items()):
        for path in sorted(_files(source, (".",))) if source.is_dir() else [source]:
            _add(content, f"weights/{model}/{path.relative_to(source) if source.is_dir() else path.name}", path)
    return content.hexdigest()[:12]


def _files(base: Path, paths: tuple[str, ...]) -> Iterator[Path]:
    for path in (base / part for part in paths):
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def _add(content: hashlib._Hash, name: str, path: Path) -> None:
    executable = bool(path.stat().st_mode & 0o100)
    content.update(f"{name}\0{executable}\0{path.stat().st_size}\0".encode())
    content.update(path.read_bytes())
