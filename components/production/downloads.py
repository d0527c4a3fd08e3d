"""`python -m components.production.downloads` (`make downloads`): what a stack downloads, and from where.

By machines, by pods, by the computer that builds images, and by the one that runs Pulumi. From the program's own tables
and files; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import yaml

from components import versions
from components.cluster.packages import packages_of
from components.config import Settings, manifest
from components.config.rules import KUBEADM_IMAGES, has_digest
from components.config.sections import PROGRAMS
from components.images import ROOT
from components.markdown import table
from components.pinned_images import containers_of
from components.pipeline.stages import STAGES, images_of
from components.production.pods import pods
from components.production.serving import split
from components.production.stack import Declared, SiteError, declare, read

PULUMI: Final = "https://get.pulumi.com/releases"
_SIGNED: Final = "Debian's signature"
_APT: Final = "its own apt sources"
_NO_DIGEST: Final = "by tag alone: `images.digests`"
_KUBEADM_ONLY: Final = ("etcd", "coredns")
"""Images of a release whose tags only kubeadm knows."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """One thing, or several alike, that is downloaded."""

    by: str
    what: str
    source: str
    checked: str
    """By what it is known to be the right one."""


def downloads(declared: Declared) -> list[Download]:
    """Everything, in the order in which a new site needs it."""
    return [*_of_pulumi(), *_of_machines(declared), *_of_pods(declared), *_of_builds(declared)]


def pod_images(declared: Declared) -> list[str]:
    """The references of all images that pods run, sorted, each once; those of a pods' network of the user's own too."""
    own = {image for each in pods(declared) for image in each.images}
    return sorted(own | set(_of_network(declared)))


def builds(declared: Declared) -> dict[str, str]:
    """The folder of containers/ of each image that the program builds, by its reference."""
    return {environment["ARGUS_IMAGE"]: name for name, environment, _ in build_commands(declared)}


def build_commands(declared: Declared) -> Iterator[tuple[str, Mapping[str, str], str]]:
    """Of each image that the program builds its name, its build's environment, and its context on stdin."""
    for resource in declared.of_type("command:local:Command"):
        environment = resource.inputs.get("environment") or {}
        if "ARGUS_IMAGE" in environment:
            name = environment["ARGUS_DOCKERFILE"].split("/")[1]
            yield name, environment, resource.inputs["stdin"]


def kubeadm_images(declared: Declared) -> list[str]:
    """The images of control planes and nodes whose tags are known without kubeadm."""
    cluster = declared.settings.cluster
    release = [f"{cluster.image_repository}/{name}:v{cluster.kubernetes_version}" for name in KUBEADM_IMAGES]
    return [*release, f"{cluster.image_repository}/pause:{versions.PAUSE}"]


def locked(file: Path) -> dict[str, str]:
    """The version of each Python package that a lock pins, by name."""
    return dict(re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def pulumi_files() -> dict[str, str]:
    """The file names of Pulumi and its plugins by their URLs, in the versions of the lock."""
    pins = locked(ROOT / "requirements.lock")
    engine = f"pulumi-v{pins['pulumi']}-linux-x64.tar.gz"
    urls = {f"{PULUMI}/sdk/{engine}": engine}
    for plugin in ("command", "kubernetes"):
        name = f"pulumi-resource-{plugin}-v{pins[f'pulumi-{plugin}']}-linux-amd64.tar.gz"
        urls[f"{PULUMI}/plugins/{name}"] = name
    return urls


def _of_pulumi() -> Iterator[Download]:
    by = "the computer that runs Pulumi"
    number = len(locked(ROOT / "requirements.lock"))
    for url, name in pulumi_files().items():
        yield Download(by=by, what=f"`{name}`", source=url.rpartition("/")[0], checked="TLS alone")
    yield Download(by=by, what=f"{number} Python packages (`requirements.lock`)", source="PyPI", checked="SHA-256")


def machine_packages(settings: Settings, *, control_plane: bool) -> tuple[str, ...]:
    """The Debian packages of a machine that holds volumes."""
    return packages_of(
        control_plane=control_plane,
        bounded=settings.storage.bounded,
        encryption=settings.storage.encryption,
        copies=settings.backup.copy_to is not None,
    )


def _of_machines(declared: Declared) -> Iterator[Download]:
    settings, cluster = declared.settings, declared.settings.cluster
    everywhere, every = (machine_packages(settings, control_plane=each) for each in (False, True))
    more = [each for each in every if each not in everywhere]
    given = dict(line.split(" ") for line in cluster.checksums_of_programs)
    yield Download(by="every machine", what=f"Debian packages {_code(everywhere)}", source=_APT, checked=_SIGNED)
    yield Download(by="control planes", what=f"Debian packages {_code(more)}", source=_APT, checked=_SIGNED)
    for program in PROGRAMS:
        yield Download(
            by="every machine",
            what=f"`{program}` {cluster.kubernetes_version}",
            source=f"{cluster.binaries} (`cluster.binaries`)",
            checked=f"SHA-256 {given[program]}" if program in given else "the `.sha256` beside it: `cluster.checksums`",
        )
    for image in kubeadm_images(declared):
        pinned = image in settings.images.digests
        yield Download(
            by="every machine" if image.rpartition("/")[2].startswith(("kube-proxy", "pause")) else "control planes",
            what=f"image `{image}`",
            source=_registry(declared, image),
            checked=f"`{settings.images.digests[image]}`" if pinned else _NO_DIGEST,
        )
    for name in _KUBEADM_ONLY:
        yield Download(
            by="control planes",
            what=f"image `{cluster.image_repository}/{name}`, in the version that kubeadm names",
            source=_registry(declared, f"{cluster.image_repository}/{name}"),
            checked=_NO_DIGEST,
        )


def _of_pods(declared: Declared) -> Iterator[Download]:
    built = builds(declared)
    for image in pod_images(declared):
        name, _, digest = image.partition("@")
        if image in built:
            # Its tag changes with its sources.
            name = image.rpartition(":")[0]
            checked = "built here" + (", by its digest" if declared.settings.images.require_digests else "")
        else:
            checked = f"`{digest}`" if digest else _NO_DIGEST
        yield Download(by="pods", what=f"image `{name}`", source=_registry(declared, image), checked=checked)


def _of_builds(declared: Declared) -> Iterator[Download]:
    by = "the computer that builds images"
    settings = declared.settings
    wanted = [each for each in images_of(STAGES, settings) if each.name not in settings.images.overrides]
    if not wanted:
        return
    base = settings.images.base
    checked = "its digest" if has_digest(base) else "by tag alone: a digest in `images.base`"
    yield Download(by=by, what=f"image `{base}` (`images.base`)", source=split(base)[0], checked=checked)
    for image in wanted:
        folder = ROOT / "containers" / image.name
        sources = {
            "Debian": (_debian_packages(folder / "Dockerfile"), _SIGNED),
            "PyPI": (_python_packages(folder), "SHA-256"),
            "the Go module proxy": (_go_modules(folder), "go.sum"),
            "Maven Central": (_maven_artifacts(folder), "Maven's own checksums"),
        }
        for source, (what, how) in sources.items():
            if what:
                yield Download(by=f"{by}, for `{image.name}`", what=what, source=source, checked=how)
    if any(model.kind == "python" for model in settings.models):
        what = "Python packages of `requirements.txt` of your own code (`models[].code`)"
        yield Download(by=f"{by}, for `spark`", what=what, source="PyPI", checked="what the file has of hashes")


def _of_network(declared: Declared) -> Iterator[str]:
    """The images of the manifest of a pods' network of the user's own, which may be read over HTTPS."""
    source = declared.settings.cluster.network.manifest
    if source:
        for document in yaml.safe_load_all(manifest.read(source)):
            yield from (each["image"] for each in containers_of(document) if "image" in each)


def _registry(declared: Declared, reference: str) -> str:
    """Where containerd asks for an image: the mirror first, if there is one."""
    registry = split(reference)[0]
    mirror = declared.settings.cluster.registry_mirror
    return f"{mirror} (`cluster.registryMirror`), then {registry}" if mirror else registry


def _debian_packages(dockerfile: Path) -> str:
    """The packages that a Dockerfile installs."""
    lines = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
    named = re.findall(r"apt-get install ([^&\n;]+)", lines)
    found = sorted({word for line in named for word in line.split() if not word.startswith("-")})
    return f"packages {_code(found)}"


def _python_packages(folder: Path) -> str:
    locks = [each for each in sorted(folder.glob("*.lock")) if each.name != "training.lock"]
    number = sum(len(locked(each)) for each in locks)
    more = (
        " (and `training.lock`, with PyTorch, for weights that are `.pt`)"
        if (folder / "training.lock").exists()
        else ""
    )
    return f"{number} packages of {_code([each.name for each in locks])}{more}" if locks else ""


def _go_modules(folder: Path) -> str:
    sums = folder / "go.sum"
    if not sums.exists():
        return ""
    modules = {tuple(line.split()[:2]) for line in sums.read_text().splitlines() if "/go.mod " not in line}
    return f"{len(modules)} modules of `go.sum`"


def _maven_artifacts(folder: Path) -> str:
    poms = sorted(folder.rglob("pom.xml"))
    return f"what {_code([each.relative_to(ROOT).as_posix() for each in poms])} names" if poms else ""


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def page(found: Sequence[Download]) -> str:
    """All of it as a table in Markdown: what is alike in one row."""
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in found:
        alike[each.by, each.source, each.checked].append(each.what)
    rows = [[by, "<br>".join(what), source, checked] for (by, source, checked), what in alike.items()]
    return table(("by", "what", "from", "checked by"), rows) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m components.production.downloads", description=__doc__)
    parser.add_argument("--stack", required=True, help="the stack, as in Pulumi.<stack>.yaml")
    options = parser.parse_args(arguments)
    try:
        print(page(downloads(declare(read(options.stack)))), end="")
    except (SiteError, pulumi.RunError, manifest.ManifestError) as error:
        print(f"downloads: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
