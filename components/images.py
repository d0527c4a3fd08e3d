"""The pipeline's images: built from containers/ where a stack has a registry, or taken as they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pulumi
from pulumi_command import local

from components.config import Model, Settings

ROOT: Final = Path(__file__).resolve().parent.parent
SCRIPT: Final = Path(__file__).with_name("build_image.sh")
BASE: Final = "debian:trixie-slim"

_APP: Final = ("apps/__init__.py", "apps/messages", "apps/service")
IMAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "zookeeper": (),
    "kafka": (),
    "elasticsearch": (),
    "filebeat": (),
    "producer": (*_APP, "apps/scenes", "apps/producer"),
    "spark": (*_APP, "apps/weights", "apps/model_api", "apps/spark_jobs"),
    "consumer": (*_APP, "apps/consumer", "apps/indices"),
    "ui": (*_APP, "apps/ui"),
}
"""Each image and what its build sees of the repository, besides containers/<image>."""

WEIGHTS: Final = "apps/spark_jobs/weights"
"""Argus's own weights, a folder a name. The Spark image holds only those of the stack's models."""


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    """Arguments of Images.

    `models` is what the Spark image holds of the stack's models: a place in its build's context, `weights/<model>` or
    `code/<model>`, and the file or folder that goes there. An image in `overrides` is not built. `insecure` says that
    the registry speaks plain http.
    """

    registry: str | None
    insecure: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Settings) -> ImagesArgs:
        """The images of the stack's configuration, with the weights and the code of its models."""
        return cls(
            registry=settings.images.registry,
            insecure=settings.images.insecure,
            overrides=settings.images.overrides,
            models=dict(place for model in settings.models if (place := model_files(model))),
        )


def model_files(model: Model) -> tuple[str, Path] | None:
    """Where a model's files go in the Spark image's context, and the folder or file that they come from."""
    if model.kind == "objects":
        return f"weights/{model.name}", model.network
    if model.code is not None:
        return f"code/{model.name}", model.code
    return None


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A file or folder of a build's context: `source` on this machine, `target` in the context."""

    source: Path
    target: str

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file with its place in the context, in a stable order.

        Caches, weights of the repo and what is hidden beside a user's code (.git, .venv) are left out.
        """
        if self.source.is_file():
            yield self.target, self.source
            return
        for path in sorted(self.source.rglob("*")):
            inside = path.relative_to(self.source)
            if path.is_file() and not _ignored(f"{self.target}/{inside.as_posix()}"):
                yield f"{self.target}/{inside.as_posix()}", path


def _ignored(target: str) -> bool:
    hidden = target.startswith("code/") and "/." in target
    return hidden or "/__pycache__/" in target or target.endswith(".pyc") or target.startswith(f"{WEIGHTS}/")


def context(image: str, models: Mapping[str, Path], root: Path = ROOT) -> list[Staged]:
    """What the build of an image sees. Raises FileNotFoundError where a part is missing."""
    paths = (f"containers/{image}", *IMAGES[image])
    parts = [Staged(source=root / path, target=path) for path in paths]
    if image == "spark":
        parts += [
            Staged(source=path, target=place if path.is_dir() else f"{place}/{path.name}")
            for place, path in sorted(models.items())
        ]
    for part in parts:
        if not part.source.exists():
            raise FileNotFoundError(f"image {image}: {part.source} does not exist")
    return parts


def content_tag(parts: list[Staged]) -> str:
    """A tag that changes if and only if the base, or a file's place, mode or content does."""
    digest = hashlib.sha256(BASE.encode())
    for part in parts:
        for target, path in part.files():
            executable = bool(path.stat().st_mode & 0o100)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{target}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()[:12]


class Images(pulumi.ComponentResource):
    """The reference of each image, known once the registry has it.

    The tag is the content, so unchanged sources are neither built nor pushed again. Images are never deleted from the
    registry: machines may still run them.
    """

    refs: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Images", name, None, opts)
        unknown = sorted(set(args.overrides) - set(IMAGES))
        if unknown:
            raise ValueError(f"images.overrides names {', '.join(unknown)}; the images are {', '.join(sorted(IMAGES))}")
        self.refs = {image: self._reference(name, image, args) for image in IMAGES}
        self.register_outputs(dict(self.refs))

    def _reference(self, name: str, image: str, args: ImagesArgs) -> pulumi.Output[str]:
        if image in args.overrides:
            return pulumi.Output.from_input(args.overrides[image])
        if args.registry is None:
            raise ValueError(f"images.registry is unset and images.overrides has no {image}: set one of them")
        parts = context(image, args.models)
        reference = f"{args.registry}/argus/{image}:{content_tag(parts)}"
        staged = "".join(f"{_portable(path)}\t{target}\n" for part in parts for target, path in part.files())
        build = local.Command(
            f"{name}-{image}",
            create=f"bash {_portable(SCRIPT)}",
            stdin=staged,
            environment={
                "ARGUS_IMAGE": reference,
                "ARGUS_DOCKERFILE": f"containers/{image}/Dockerfile",
                "ARGUS_REGISTRY_INSECURE": "1" if args.insecure else "",
            },
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m")),
        )
        return build.create.apply(lambda _: reference)


def _portable(path: Path) -> str:
    """The path as the program's own folder sees it, so that a clone elsewhere is no change."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)
