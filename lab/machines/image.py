"""The machines' image: Debian by debootstrap, cached by the hash of its recipe."""

import hashlib
import os
from pathlib import Path

from lab.config import CACHE, DEBIAN_MIRROR, LOGS
from lab.podman import podman, succeeds
from lab.progress import step
from lab.shell import run

SUITE = "bookworm"
REPOSITORY = "localhost/argus-machine"
_HERE = Path(__file__).parent
_BUILD_SECONDS = 1200


def ensure() -> str:
    """The image's reference; if podman lacks the image, it is built or imported from the cache."""
    key = recipe_hash()
    name = reference()
    if succeeds("image", "exists", name):
        return name
    archive = CACHE / "machine" / f"{key}.tar.zst"
    if not archive.exists():
        log = LOGS / "machine-image.log"
        archive.parent.mkdir(parents=True, exist_ok=True)
        with step(f"the machines' image (Debian {SUITE})", log=log):
            run([str(_HERE / "rootfs.sh"), SUITE, DEBIAN_MIRROR, str(archive)], timeout=_BUILD_SECONDS, log=log)
    changes = ("--change", "CMD=/sbin/init", "--change", "STOPSIGNAL=SIGRTMIN+3")
    with step("importing the machines' image"):
        podman("import", *changes, str(archive), name, timeout=300)
    return name


def reference() -> str:
    """The name of the image of the current recipe, which may not be built yet."""
    return f"{REPOSITORY}:{recipe_hash()}"


def recipe_hash() -> str:
    """A hash of all files in this repository from which the image is made."""
    digest = hashlib.sha256(f"{SUITE}\n".encode())
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
