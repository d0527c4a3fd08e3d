"""The images of nodes and pods: those of others are copied as they are, by digest; the stack's own are built."""

import os
import re
import shutil
from collections.abc import Container
from pathlib import Path

from components.images import ROOT, SCRIPT
from components.production.bundle.fetch import run
from components.production.downloads import build_commands, builds, kubeadm_images, pod_images
from components.production.serving import IMAGES, split, target
from components.production.stack import Declared, SiteError

FOLDER = "images"
_COPY = (
    "skopeo copies images: install it (apt-get install skopeo), and log in where a registry asks for it (skopeo login)"
)
_KUBEADM = "the images of control planes are those that kubeadm names"


def add(bundle: Path, declared: Declared, kubeadm: Path, *, insecure: Container[str], there: Container[str]) -> None:
    """Put every image into the bundle, and write the list of them. Raises SiteError.

    `insecure` has registries of plain http, `there` those that the site has anyway, whose images are left out. What an
    earlier call has put into the bundle is left; the list is written at the end.
    """
    built = {environment["ARGUS_IMAGE"]: (environment, stdin) for _, environment, stdin in build_commands(declared)}
    foreign = [each for each in foreign_images(declared, kubeadm) if split(each)[0] not in there]
    wanted = [*((each, "mirrored") for each in foreign), *((each, "own") for each in sorted(built))]
    check_targets(wanted)
    for number, (reference, kind) in enumerate(wanted, start=1):
        folder = bundle / FOLDER / name_of(reference)
        print(f"image {number}/{len(wanted)} {reference}", flush=True)
        if (folder / "manifest.json").exists():
            continue
        folder.parent.mkdir(parents=True, exist_ok=True)
        if kind == "own":
            environment, stdin = built[reference]
            env = {**os.environ, **environment, "ARGUS_ARCHIVE": str(folder.resolve())}
            run(["bash", str(SCRIPT)], cwd=ROOT, env=env, stdin=stdin, remedy=f"{reference} is built here")
        else:
            _copy(reference, folder, insecure=split(reference)[0] in insecure)
    lines = [f"{FOLDER}/{name_of(reference)}\t{reference}\t{kind}\n" for reference, kind in wanted]
    (bundle / IMAGES).write_text("".join(lines))


def foreign_images(declared: Declared, kubeadm: Path) -> list[str]:
    """The images that are not built here, each once: those that pods name, and those that kubeadm names."""
    built = builds(declared)
    cluster, pinned = declared.settings.cluster, declared.settings.images.pinned
    asked = ["--kubernetes-version", f"v{cluster.kubernetes_version}", "--image-repository", cluster.image_repository]
    named = run([str(kubeadm), "config", "images", "list", *asked], remedy=_KUBEADM).split()
    pods = (each for each in pod_images(declared) if each not in built)
    return sorted({*map(pinned, [*named, *kubeadm_images(declared)]), *pods})


def name_of(reference: str) -> str:
    """The folder of an image: its reference in signs that every file system takes."""
    return re.sub(r"[^\w.-]", "_", reference)


def check_targets(wanted: list[tuple[str, str]]) -> None:
    """Raise SiteError if two images would be the same one in a mirror, which knows no registry's name."""
    taken: dict[str, str] = {}
    for reference, kind in wanted:
        to = target(reference, kind, "mirror")
        other = taken.setdefault(to, reference)
        if other != reference:
            raise SiteError(
                f"{other} and {reference} are the same image {to.removeprefix('mirror/')!r} to a mirror: name one by"
                " images.overrides under another name, or pin both by the same digest"
            )


def source_of(reference: str) -> str:
    """The image as skopeo takes it: by its tag or by its digest, not by both."""
    name, at, digest = reference.partition("@")
    return re.sub(r":[^:/]+$", "", name) + at + digest if at else name


def _copy(reference: str, folder: Path, *, insecure: bool) -> None:
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    verify = f"--src-tls-verify={str(not insecure).lower()}"
    # With every architecture, because a digest is often that of their list.
    command = ["skopeo", "copy", "--quiet", "--all", "--preserve-digests", verify]
    run([*command, f"docker://{source_of(reference)}", f"dir:{fresh}"], remedy=f"{reference}: {_COPY}")
    fresh.rename(folder)
