"""The machines' images, one for each suite of Debian: made by debootstrap, cached by the hash of their recipe."""

import hashlib
import os
from pathlib import Path

from lab.config import CACHE, DEBIAN_MIRROR, LOGS, SUITE
from lab.podman import podman, succeeds
from lab.progress import step
from lab.shell import run

REPOSITORY = "localhost/argus-machine"
_HERE = Path(__file__).parent
_BUILD_SECONDS = 1200


def ensure(suite: str = SUITE) -> str:
    """The reference of a suite's image; if podman lacks the image, it is built or imported from the cache."""
    key = recipe_hash(suite)
    name = reference(suite)
    if succeeds("image", "exists", name):
        return name
    archive = CACHE / "machine" / f"{key}.tar.zst"
    if not archive.exists():
        log = LOGS / f"machine-image-{suite}.log"
        archive.parent.mkdir(parents=True, exist_ok=True)
        with step(f"the machines' image (Debian {suite})", log=log):
            run([str(_HERE / "rootfs.sh"), suite, DEBIAN_MIRROR, str(archive)], timeout=_BUILD_SECONDS, log=log)
    changes = ("--change", "CMD=/sbin/init", "--change", "STOPSIGNAL=SIGRTMIN+3")
    with step("importing the machines' image"):
        podman("import", *changes, str(archive), name, timeout=300)
    return name


def reference(suite: str = SUITE) -> str:
    """The name of a suite's image by the current recipe, which may not be built yet."""
    return f"{REPOSITORY}:{recipe_hash(suite)}"


def recipe_hash(suite: str = SUITE) -> str:
    """A hash of the suite and of all files in this repository from which its image is made."""
    digest = hashlib.sha256(f"{suite}\n".encode())
    files = [
        _HERE / "rootfs.sh",
        _HERE / "packages.txt",
        *sorted(p for p in (_HERE / "files").rglob("*") if p.is_file()),
    ]
    for path in files:
        mode = "x" if os.access(path, os.X_OK) else "-"
        digest.update(f"{path.relative_to(_HERE)} {mode} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
