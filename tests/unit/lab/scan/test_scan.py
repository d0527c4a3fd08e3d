"""What a scan makes of the sources' answers, and of what was accepted."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from packageurl import PackageURL

from lab.config import ROOT, LabError
from lab.sbom import Material
from lab.scan import __main__ as cli
from lab.scan import go, python
from lab.scan.findings import Acceptance, Finding, NotScannedError, accepted, needless, open_findings

YAML = Material(url=PackageURL("pypi", name="pyyaml", version="5.3"), source="requirements.lock")
GO = Material(url=PackageURL("golang", "golang.org/x", "text", "v0.3.5"), source="go.mod")
TOLD = {
    "info": {"name": "PyYAML", "version": "5.3"},
    "vulnerabilities": [
        {
            "id": "PYSEC-2020-96",
            "aliases": ["CVE-2020-1747", "GHSA-6757-jp84-gxfx"],
            "fixed_in": ["5.3.1"],
            "summary": None,
            "details": "A vulnerability was discovered in the PyYAML library.\nMore of it.",
            "withdrawn": None,
        },
        {"id": "PYSEC-0000-1", "aliases": [], "fixed_in": [], "details": "", "withdrawn": "2024-01-01T00:00:00Z"},
    ],
}
"""An answer in the shape of PyPI's, for a release whose vulnerability is known."""

FOUND = Finding(
    package="pyyaml",
    version="5.3",
    id="PYSEC-2020-96",
    aliases=("CVE-2020-1747", "GHSA-6757-jp84-gxfx"),
    fixed="5.3.1",
    summary="A vulnerability was discovered in the PyYAML library.",
    sources=("requirements.lock", "containers/ui/requirements.lock"),
)


def acceptance(identity: str, package: str = "pyyaml") -> Acceptance:
    return Acceptance(id=identity, package=package, reason="only our own files are read", date=date(2026, 11, 29))


def test_a_release_is_asked_for_once_and_what_was_withdrawn_does_not_count() -> None:
    asked: list[str] = []

    def ask(release: str) -> Any:
        asked.append(release)
        return TOLD

    again = Material(url=YAML.url, source="containers/ui/requirements.lock")
    assert list(python.scan([YAML, GO, again], ask)) == [FOUND]
    assert asked == ["pyyaml/5.3"]


@pytest.mark.parametrize("told", [{"info": {}}, [], None])
def test_an_index_that_does_not_speak_of_vulnerabilities_is_not_one_that_knows_none(told: Any) -> None:
    with pytest.raises(NotScannedError, match=r"pyyaml 5\.3"):
        list(python.scan([YAML], lambda _: told))


@pytest.mark.parametrize("simple", ["https://index.example/simple", "https://index.example/simple/"])
def test_the_interface_is_beside_the_list_of_files(simple: str) -> None:
    assert python.index_of(simple) == "https://index.example/pypi"


def finding(module: str, **last: str) -> dict[str, Any]:
    trace = [{"module": module, "version": "v0.3.5", **last}, {"module": "main", "function": "main"}]
    return {"finding": {"osv": "GO-2021-0113", "fixed_version": "v0.3.7", "trace": trace}}


def test_of_a_program_what_it_may_call_counts() -> None:
    entry = {"osv": {"id": "GO-2021-0113", "aliases": ["CVE-2021-38561"], "summary": "Out-of-bounds read"}}
    messages = [
        {"config": {"scanner_name": "govulncheck"}},
        entry,
        finding("golang.org/x/text", package="golang.org/x/text/language", function="Parse"),
        finding("golang.org/x/text", package="golang.org/x/text/language", function="MustParse"),
        finding("golang.org/x/net", package="golang.org/x/net/html"),
        finding("golang.org/x/sys"),
        finding("stdlib", package="net/http", function="Get"),
    ]
    said = "\n".join(json.dumps(each, indent=1) for each in messages) + "\n"
    (found,) = go.findings(said, "containers/filebeat/go.mod")
    assert (found.package, found.version, found.id) == ("golang.org/x/text", "v0.3.5", "GO-2021-0113")
    assert (found.fixed, found.aliases) == ("v0.3.7", ("CVE-2021-38561",))
    assert go.findings("", "go.mod") == []


def test_every_go_program_of_an_image_is_scanned() -> None:
    modules = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "containers").glob("*/go.mod")}
    assert modules == go.PROGRAMS.keys()
    for folder, package in go.PROGRAMS.items():
        assert re.search(
            rf"go build .* {re.escape(package)}$", (ROOT / folder / "Dockerfile").read_text(), re.MULTILINE
        )


@pytest.mark.parametrize("identity", ["PYSEC-2020-96", "CVE-2020-1747"])
def test_an_acceptance_is_for_one_vulnerability_of_one_package(identity: str) -> None:
    assert open_findings([FOUND], [acceptance(identity)]) == []
    assert open_findings([FOUND], [acceptance(identity, "ruamel.yaml")]) == [FOUND]
    assert open_findings([FOUND], [acceptance("CVE-2020-14343")]) == [FOUND]
    assert needless([FOUND], [acceptance(identity)]) == []
    assert needless([], [acceptance(identity)]) == [acceptance(identity)]


def test_the_exit_status_tells_what_is_vulnerable_from_what_nobody_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def silent() -> Iterator[Finding]:
        raise NotScannedError("the package index answers 404")

    assert cli.run({"Python packages": list}, [acceptance("CVE-0")]) == 0
    assert "accepted.toml: CVE-0 of pyyaml is not found any longer" in capsys.readouterr().out
    assert cli.run({"Python packages": lambda: [FOUND]}, []) == cli.VULNERABLE
    assert "pyyaml 5.3: PYSEC-2020-96, CVE-2020-1747" in capsys.readouterr().out
    assert cli.run({"Python packages": silent}, [acceptance("CVE-0")]) == cli.NOT_SCANNED
    said = capsys.readouterr().out
    assert "not scanned: Python packages: the package index answers 404" in said
    assert "CVE-0" not in said, "where not everything was asked, nobody knows what is not found"
    both = {"Python packages": silent, "Go programs": lambda: [FOUND]}
    assert cli.run(both, []) == cli.VULNERABLE | cli.NOT_SCANNED
    assert cli.run({"Go programs": lambda: [FOUND]}, [acceptance("CVE-2020-1747")]) == 0


def test_the_repository_s_acceptances_are_whole() -> None:
    given = accepted()
    assert len({(each.id, each.package) for each in given}) == len(given)


@pytest.mark.parametrize(
    "text", ["accepted = 1", "[[accepted]]\nid = 'CVE-1'\npackage = 'a'\nreason = ' '\ndate = 2026-11-29\n", "[["]
)
def test_an_acceptance_without_a_reason_or_a_date_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text(text)
    with pytest.raises(LabError, match=r"accepted\.toml: each"):
        accepted(file)
