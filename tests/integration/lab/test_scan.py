"""govulncheck, with Go's own database from the module proxy, finds a known vulnerability of an old module."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.scan import go
from lab.toolchain import go_compiler

PROGRAM = """package main

import "golang.org/x/text/language"

func main() {
	tag, _, _ := language.ParseAcceptLanguage("en")
	println(len(tag))
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with a program that calls a function whose version has a known vulnerability."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "go.mod").write_text("module argus.dev/old\n\ngo 1.24\n\nrequire golang.org/x/text v0.3.5\n")
    (folder / "main.go").write_text(PROGRAM)
    command = [str(go_compiler.ensure().program), "mod", "tidy"]
    subprocess.run(command, cwd=folder, env={**os.environ, "GOTOOLCHAIN": "local"}, check=True, capture_output=True)
    return folder


@pytest.mark.full
def test_a_known_vulnerability_is_found_with_the_version_that_mends_it(program: Path) -> None:
    found = {each.id: each for each in go.scan({"old": "."}, program.parent)}
    assert "GO-2021-0113" in found, sorted(found)
    finding = found["GO-2021-0113"]
    assert (finding.package, finding.version, finding.fixed) == ("golang.org/x/text", "v0.3.5", "v0.3.7")
    assert "CVE-2021-38561" in finding.aliases
    assert finding.sources == ("old/go.mod",)
