"""Vulnerabilities of the Go programs in images that Argus builds, by govulncheck, which go.mod beside this pins.

Go's database is a Go module too (golang.org/x/vulndb), so the module proxy has it; its newest version is taken.
Only what a program may call counts, as in govulncheck's own exit status. Go's standard library does not: the one here
is not the one in the image, which is built with Debian's Go, and Debian mends that.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lab.config import ROOT, LabError
from lab.scan.findings import Finding, NotScannedError
from lab.shell import run
from lab.toolchain import go_compiler

PROGRAMS: Final[Mapping[str, str]] = {
    "containers/acme": "github.com/go-acme/lego/v5",
    "containers/filebeat": "github.com/elastic/beats/v7/filebeat",
    "containers/network-policies": ".",
}
"""The package of the program that is built in a folder with a go.mod. The lab's own programs stand for official images
and programs; they have the versions of those, and are not scanned."""

DATABASE: Final = "golang.org/x/vulndb"
_STANDARD_LIBRARY: Final = "stdlib"
_PINS: Final = Path(__file__).parent
_LIMIT_SECONDS: Final = 7200
"""A slow machine compiles govulncheck and reads a large program's whole call graph."""

_ENVIRONMENT: Final = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def scan(programs: Mapping[str, str] = PROGRAMS, root: Path = ROOT) -> Iterator[Finding]:
    """The vulnerabilities that each program may call. Raises NotScannedError."""
    database = _database()
    for folder, package in programs.items():
        command = ["tool", "govulncheck", "-db", f"file://{database}", "-format", "json", "-C", str(root / folder)]
        command += tags(root / folder)
        yield from findings(_go([*command, package], f"scanning {folder}"), f"{folder}/go.mod")


def tags(folder: Path) -> list[str]:
    """The options that compile what the image's Dockerfile does: of lego's DNS providers those in a list."""
    providers = folder / "providers.txt"
    if not providers.exists():
        return []
    return ["-tags", ",".join(["lego_dnslight", *(f"lego_dns_{each}" for each in providers.read_text().split())])]


def findings(said: str, source: str) -> list[Finding]:
    """The findings in govulncheck's JSON: one for each vulnerability and module with a function that may be called."""
    entries: dict[str, Any] = {}
    found: dict[tuple[str, str], Finding] = {}
    for message in _messages(said):
        if "osv" in message:
            entries[message["osv"]["id"]] = message["osv"]
        if "finding" not in message:
            continue
        finding = message["finding"]
        last = finding["trace"][0]
        if last.get("function") and last["module"] != _STANDARD_LIBRARY:
            entry = entries[finding["osv"]]
            found[entry["id"], last["module"]] = Finding(
                package=last["module"],
                version=last.get("version", ""),
                id=entry["id"],
                aliases=tuple(entry.get("aliases", ())),
                fixed=finding.get("fixed_version", ""),
                summary=entry.get("summary", ""),
                sources=(source,),
            )
    return list(found.values())


def _messages(said: str) -> Iterator[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while (at := len(said) - len(said[at:].lstrip())) < len(said):
        message, at = decoder.raw_decode(said, at)
        yield message


def _database() -> Path:
    """The folder with the newest version of Go's database, in the module cache."""
    said = _go(["mod", "download", "-json", f"{DATABASE}@latest"], "Go's database of vulnerabilities")
    return Path(json.loads(said)["Dir"]) / "data" / "osv"


def _go(arguments: Sequence[str], what: str) -> str:
    command = [str(go_compiler.ensure().program), *arguments]
    try:
        return run(command, cwd=_PINS, env=_ENVIRONMENT, timeout=_LIMIT_SECONDS).stdout
    except LabError as error:
        raise NotScannedError(f"{what}: {error}") from None
