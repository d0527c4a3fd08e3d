"""The Debian packages of machines, as the part of Debian's own mirror that they need, with Debian's signatures.

apt itself finds and downloads what the packages need, for a machine that has nothing; and apt on the machines checks
Debian's signature, as it does with any mirror.
"""

import os
import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.production.bundle.fetch import AbsentError, fetch, run
from components.production.serving import FILES, sha256
from components.production.stack import SiteError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR, SECURITY = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
_ARCHITECTURE = "amd64"
_REMEDY = "check the mirror and the suite, and that apt runs here (Debian or Ubuntu, with debian-archive-keyring)"
_PRINTED = re.compile(r"^'(?P<url>[^']+)' (?P<file>\S+) ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A suite of a mirror, of which `main` is used."""

    url: str
    suite: str
    folder: str
    """Below what is served over HTTP."""

    @property
    def line(self) -> str:
        """The line of apt's list of sources."""
        return f"deb [signed-by={KEYRING} arch={_ARCHITECTURE} target=Packages] {self.url} {self.suite} main\n"


def sources(suite: str, mirror: str, security: str) -> tuple[Source, ...]:
    """Debian's release, its updates and its security updates."""
    return (
        Source(url=mirror.rstrip("/"), suite=suite, folder="debian"),
        Source(url=mirror.rstrip("/"), suite=f"{suite}-updates", folder="debian"),
        Source(url=security.rstrip("/"), suite=f"{suite}-security", folder="debian-security"),
    )


def add(bundle: Path, packages: Iterable[str], given: Sequence[Source]) -> int:
    """Put the packages and all that they need into the bundle; return how many those are. Raises SiteError."""
    if not KEYRING.exists():
        raise SiteError(f"{KEYRING} is missing, by which Debian's packages are checked: install debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="argus-apt-") as work:
        apt = _Apt(Path(work), given)
        apt.run("update")
        wanted = sorted(packages)
        listed = list(_PRINTED.finditer(apt.run("install", "--print-uris", *wanted)))
        apt.run("install", "--download-only", *wanted)
        for each in listed:
            target = bundle / FILES / _place(each["url"], given)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(apt.archive(each["file"]), target)
        for source in given:
            _indices(bundle / FILES / source.folder, source, apt.release(source))
    return len(listed)


class _Apt:
    """apt for a machine that has no package installed, in a folder of its own."""

    def __init__(self, root: Path, given: Sequence[Source]) -> None:
        self._root = root
        for folder in ("etc/apt/preferences.d", "state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True)
        (root / "sources.list").write_text("".join(source.line for source in given))
        (root / "status").touch()

    def run(self, *arguments: str) -> str:
        """The output of apt-get. Raises SiteError."""
        options = {
            "Dir::Etc": str(self._root / "etc/apt"),
            "Dir::Etc::SourceList": str(self._root / "sources.list"),
            "Dir::Etc::SourceParts": "-",
            "Dir::State": str(self._root / "state"),
            "Dir::State::Status": str(self._root / "status"),
            "Dir::Cache": str(self._root / "cache"),
            "APT::Architecture": _ARCHITECTURE,
            "APT::Architectures": _ARCHITECTURE,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "APT::Get::AllowUnauthenticated": "false",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Dpkg::Use-Pty": "0",
        }
        given = [word for key, value in options.items() for word in ("--option", f"{key}={value}")]
        command = ["apt-get", "--quiet=2", "--yes", *given, *arguments]
        return run(command, env={**os.environ, "LC_ALL": "C"}, remedy=_REMEDY)

    def archive(self, file: str) -> Path:
        """A package that was downloaded."""
        return self._root / "cache/archives" / file

    def release(self, source: Source) -> Path:
        """The signed list of a suite's files, which apt has checked."""
        return next((self._root / "state/lists").glob(f"*_dists_{source.suite}_InRelease"))


def _place(url: str, given: Sequence[Source]) -> str:
    """Where a package's file lies below what is served; as on the mirror."""
    for source in given:
        if url.startswith(f"{source.url}/"):
            return f"{source.folder}/{urllib.parse.unquote(url.removeprefix(f'{source.url}/'))}"
    raise SiteError(f"{url} is of no source that was given")


def _indices(folder: Path, source: Source, release: Path) -> None:
    """Put a suite's signed list and its list of packages there, as apt on a machine asks for them."""
    signed = release.read_text(encoding="utf-8")
    dists = folder / "dists" / source.suite
    dists.mkdir(parents=True, exist_ok=True)
    (dists / "InRelease").write_text(signed)
    name = f"main/binary-{_ARCHITECTURE}/Packages.xz"
    checksum = _sums(signed).get(name)
    if checksum is None:
        raise SiteError(f"{source.url} has no {name} of {source.suite}")
    target = dists / name
    by_hash = target.parent / "by-hash" / "SHA256" / checksum
    _fetch_index(f"{source.url}/dists/{source.suite}", name, target, checksum)
    by_hash.parent.mkdir(parents=True, exist_ok=True)
    for old in by_hash.parent.iterdir():
        old.unlink()
    # No link: disks that are carried often have a file system without any.
    shutil.copy(target, by_hash)


def _fetch_index(dists: str, name: str, target: Path, checksum: str) -> None:
    """By its hash, so that a mirror that is just changing gives the one that the signed list names."""
    if target.exists() and sha256(target) != checksum:
        target.unlink()
    folder = name.rpartition("/")[0]
    try:
        fetch(f"{dists}/{folder}/by-hash/SHA256/{checksum}", target, checksum=checksum)
    except AbsentError:
        fetch(f"{dists}/{name}", target, checksum=checksum)


def _sums(signed: str) -> dict[str, str]:
    """The SHA-256 of each file of a suite, by its path."""
    _, _, listed = signed.partition("\nSHA256:\n")
    return dict(_entries(listed.splitlines()))


def _entries(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if not line.startswith(" "):
            return
        checksum, _, name = line.split()
        yield name, checksum
