"""The Go that compiles the lab's programs: the host's own, or else one from the Go module proxy.

`python -m lab go` prints the folder of the `go` program, for PATH.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Final

from components.production.serving import sha256
from lab.config import CACHE, ROOT, LabError
from lab.progress import Step, step

VERSION: Final = "1.26.8"
CHECKSUMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "amd64": "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7",
        "arm64": "02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99",
    }
)
"""The SHA-256 of the toolchain module's zip, by architecture, checked once against Go's checksum database."""
DEFAULT_PROXY: Final = "https://proxy.golang.org"

_FOLDER = CACHE / "go"
_MODULE = "golang.org/toolchain"
_ARCHITECTURES: Final = MappingProxyType({"x86_64": "amd64", "aarch64": "arm64"})
_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 1 << 20
_MIB = 1 << 20
_REMEDY = f"install Go {VERSION} from https://go.dev/dl and put it on PATH"


@dataclass(frozen=True, kw_only=True)
class Go:
    """A Go installation on this host."""

    program: Path
    version: str
    """The version as `go env GOVERSION` prints it, such as go1.26.8."""


def ensure() -> Go:
    """The Go on PATH if it is new enough for the lab's programs, else the cached one, downloaded the first time.

    Raises LabError with a remedy if it cannot be downloaded.
    """
    found = shutil.which("go")
    if found is not None:
        version = _version(Path(found))
        if numbers(version) >= needed():
            return Go(program=Path(found), version=version)
    program = _downloaded() / "bin" / "go"
    return Go(program=program, version=_version(program))


def needed() -> tuple[int, ...]:
    """The oldest Go that compiles all of the lab's programs: the newest version that their go.mod files require."""
    asked = [re.search(r"^go\s+(\S+)", file.read_text(), re.MULTILINE) for file in (ROOT / "lab").rglob("go.mod")]
    return max(numbers(found[1]) for found in asked if found)


def numbers(version: str) -> tuple[int, ...]:
    """The first three numbers in a version, for comparison; empty if there are none."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def proxies() -> list[str]:
    """The URLs of the Go module proxies in Go's order: from GOPROXY, else Go's default."""
    configured = os.environ.get("GOPROXY") or _go_env().get("GOPROXY") or DEFAULT_PROXY
    return [each.rstrip("/") for each in re.split("[,|]", configured) if each not in {"", "direct", "off"}]


def _go_env() -> dict[str, str]:
    """The settings that `go env -w` wrote for this user."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    file = Path(os.environ.get("GOENV") or f"{configuration}/go/env").expanduser()
    if not file.is_file():
        return {}
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and line[0] != "#")


def _version(program: Path) -> str:
    """The version that the program reports; empty if it fails."""
    command = [str(program), "env", "GOVERSION"]
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True).stdout.strip()


def _downloaded() -> Path:
    """The root folder of the cached Go."""
    architecture = _architecture()
    checksum = CHECKSUMS[architecture]
    destination = _FOLDER / f"{VERSION}-linux-{architecture}-{checksum[:16]}"
    if destination.is_dir():
        return destination
    with _alone(), step(f"Go {VERSION} from the module proxy") as shown:
        if not destination.is_dir():
            with tempfile.TemporaryDirectory(prefix=".go-", dir=_FOLDER) as work:
                archive = Path(work) / "go.zip"
                _download(f"{_MODULE}/@v/v0.0.1-go{VERSION}.linux-{architecture}.zip", archive, shown)
                _check(archive, checksum)
                shown.now("unpacking")
                _unpack(archive, Path(work) / "go", f"{_MODULE}@v0.0.1-go{VERSION}.linux-{architecture}/")
                (Path(work) / "go").rename(destination)
    return destination


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise LabError(f"no Go is pinned for {machine}: {_REMEDY}")
    return _ARCHITECTURES[machine]


@contextmanager
def _alone() -> Iterator[None]:
    """Lock the folder against other downloads, and remove what an interrupted one left."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in _FOLDER.glob(".go-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _download(path: str, target: Path, shown: Step) -> None:
    """Fetch the file from the first proxy that has it."""
    refusals: list[str] = []
    for proxy in proxies():
        try:
            address = f"{proxy}/{path}"
            with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer, target.open("wb") as file:
                size = int(answer.headers.get("Content-Length") or 0)
                while chunk := answer.read(_CHUNK_BYTES):
                    file.write(chunk)
                    shown.now("downloading (MiB)", done=file.tell() // _MIB, total=size // _MIB)
            return
        except (OSError, HTTPException, ValueError) as error:
            refusals.append(f"{re.sub('//[^/@]*@', '//', proxy)}: {error}")
    asked = "; ".join(refusals) or "GOPROXY names none"
    raise LabError(f"Go {VERSION} cannot be had from a Go module proxy ({asked}): set GOPROXY to one, or {_REMEDY}")


def _check(archive: Path, checksum: str) -> None:
    found = sha256(archive)
    if found != checksum:
        raise LabError(
            f"what the module proxy sent as Go {VERSION} has the SHA-256 {found}, but {checksum} is pinned in "
            f"{__name__}: set GOPROXY to another proxy, or {_REMEDY}"
        )


def _unpack(archive: Path, root: Path, prefix: str) -> None:
    """Unpack the toolchain module as the go command does: set modes, which the zip lacks, and rename `_go.mod`."""
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            target = root / entry.filename.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entry) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
            if target.name == "_go.mod":
                target.rename(target.with_name("go.mod"))
    for folder in (root / "bin", root / "pkg" / "tool"):
        for program in folder.rglob("*"):
            if program.is_file():
                program.chmod(0o755)
