"""The pipeline's images: built from containers/ and pushed to the stack's registry, or existing ones."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
from pulumi_command import local

from components import registries
from components.config import sections
from components.signatures import key_variables, keys_of

ROOT: Final = Path(__file__).resolve().parent.parent
SCRIPT: Final = Path(__file__).with_name("build_image.sh")

APP: Final = ("apps/__init__.py", "apps/messages", "apps/service")
"""The paths that every image with an app of this repository contains."""

WEIGHTS: Final = "apps/spark_jobs/weights"
"""Argus's own weights, one folder per name. The Spark image contains only those of the stack's models."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image built from containers/<name>."""

    name: str
    paths: tuple[str, ...] = ()
    """Further paths of the repository in its build context."""
    models: bool = False
    """Whether it contains the weights and code of the stack's models."""


@dataclass(frozen=True, kw_only=True)
class ImagesArgs:
    """The images that the stack needs, its section about images, and its models."""

    images: Sequence[Image]
    section: sections.Images
    models: Sequence[sections.Model]


def model_files(model: sections.Model) -> tuple[str, Path] | None:
    """The target of a model's files in the Spark image's build context, and their source; None if it has no files."""
    if model.kind == "objects":
        return f"weights/{model.name}", model.network
    if model.code is not None:
        return f"code/{model.name}", model.code
    return None


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A file or folder of a build context: `source` on this computer, `target` in the context."""

    source: Path
    target: str

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file with its target in the context, in a stable order.

        Leaves out caches, the repository's weights, the tests of its Go programs, and hidden files in a user's code
        (.git, .venv).
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
    test = target.startswith("containers/") and target.endswith("_test.go")
    return hidden or test or "/__pycache__/" in target or target.endswith(".pyc") or target.startswith(f"{WEIGHTS}/")


def context(image: Image, models: Mapping[str, Path]) -> list[Staged]:
    """The build context of an image; `models` has the models' sources, by target.

    Raises FileNotFoundError if a part is missing.
    """
    paths = (f"containers/{image.name}", *image.paths)
    parts = [Staged(source=ROOT / path, target=path) for path in paths]
    if image.models:
        parts += [
            Staged(source=path, target=place if path.is_dir() else f"{place}/{path.name}")
            for place, path in sorted(models.items())
        ]
    for part in parts:
        if not part.source.exists():
            raise FileNotFoundError(f"image {image.name}: {part.source} does not exist")
    return parts


def foundation(section: sections.Images) -> str:
    """What an image is built on, and for: its tag changes with it. In a stack that says only the base, it is that."""
    other = section.platform if section.platform != sections.Images.model_fields["platform"].default else ""
    return "\0".join(filter(None, [section.base, section.rebuild, other]))


def content_tag(parts: list[Staged], base: str) -> str:
    """A tag that changes if and only if what it is built on, or a file's target, mode or content changes."""
    digest = hashlib.sha256(base.encode())
    for part in parts:
        for target, path in part.files():
            executable = bool(path.stat().st_mode & 0o100)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{target}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()[:12]


class Images(pulumi.ComponentResource):
    """The reference of each image, available once the registry has it.

    The tag is a hash of the content, so unchanged sources are not built or pushed again. Where the stack requires
    digests, the reference has the digest that the registry gave the image. Images are never deleted from
    the registry, because machines may still run them.
    """

    refs: Mapping[str, pulumi.Output[str]]
    builds: Sequence[pulumi.Resource]
    """What ends once an image that is built here is in the registry, signed and verified where the stack says so."""

    def __init__(self, name: str, args: ImagesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Images", name, None, opts)
        self.builds = []
        self.refs = {image.name: self._reference(name, image, args) for image in args.images}
        if self.builds and not any(map(shutil.which, ("podman", "docker"))):
            pulumi.log.warn(
                f"neither podman nor docker is on this computer: `pulumi up` fails if {args.section.registry} lacks an "
                "image; install one of them, or name the images in argus:images.overrides",
                self,
            )
        self.register_outputs(dict(self.refs))

    def _reference(self, name: str, image: Image, args: ImagesArgs) -> pulumi.Output[str]:
        section = args.section
        if image.name in section.overrides:
            return pulumi.Output.from_input(section.pinned(section.overrides[image.name]))
        if section.registry is None:
            raise ValueError(f"images.registry is unset and images.overrides has no {image.name}: set one of them")
        parts = context(image, dict(place for model in args.models if (place := model_files(model))))
        reference = f"{section.built(image.name)}:{content_tag(parts, foundation(section))}"
        staged = "".join(f"{_portable(path)}\t{target}\n" for part in parts for target, path in part.files())
        build = local.Command(
            f"{name}-{image.name}",
            create=f"bash {_portable(SCRIPT)}",
            stdin=staged,
            environment={
                "ARGUS_IMAGE": reference,
                "ARGUS_BASE": section.base,
                "ARGUS_DOCKERFILE": f"containers/{image.name}/Dockerfile",
                "ARGUS_PLATFORM": section.platform,
                "ARGUS_REBUILD": section.rebuild,
                **registries.variables(section, [reference, section.base]),
                **({"ARGUS_PRINT_DIGEST": "1"} if section.require_digests else {}),
                **_signature(section, reference),
            },
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m")),
        )
        self.builds = [*self.builds, build]
        if section.require_digests:
            # What a command prints counts as secret if it was given a secret, such as the key that signs.
            return pulumi.Output.unsecret(build.stdout).apply(lambda digest: f"{reference}@{digest.strip()}")
        return build.create.apply(lambda _: reference)


def _signature(section: sections.Images, reference: str) -> dict[str, pulumi.Input[str]]:
    """What build_image.sh is told of the keys that verify an image, and of the one that signs it."""
    if not section.signers:
        return {}
    ids = keys_of(section, reference)
    told: dict[str, pulumi.Input[str]] = {"ARGUS_KEYS": " ".join(ids), **key_variables(section, ids)}
    if section.signing is not None:
        told["COSIGN_PRIVATE_KEY"] = pulumi.Output.secret(section.signing.key)
        told["COSIGN_PASSWORD"] = pulumi.Output.secret(section.signing.key_passphrase)
    return told


def _portable(path: Path) -> str:
    """The path relative to the repository, so that a clone in another folder changes nothing."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)
