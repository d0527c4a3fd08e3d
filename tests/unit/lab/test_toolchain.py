from dataclasses import replace
from pathlib import Path

import pytest

from lab import toolchain
from lab.config import LabError
from lab.toolchain import go_compiler, go_programs
from lab.toolchain.go_compiler import Go
from lab.toolchain.go_programs import GROUPS, GoGroup, module_version
from lab.toolchain.releases import Release

GO_MOD = """module example.test/tools

go 1.26.0

tool example.test/some/tool

require example.test/some v1.2.3

require (
	example.test/some/v2 v2.0.1 // indirect
)
"""


def group(folder: Path, **changes: str) -> GoGroup:
    (folder / "go.mod").write_text(changes.pop("go_mod", GO_MOD))
    (folder / "go.sum").write_text("")
    return GoGroup(
        name="tools",
        source=folder,
        programs={"tool": "example.test/some/tool"},
        version_of="example.test/some",
        version_variables=("example.test/version.Is={version}", "example.test/version.Minor={minor}"),
    )


def test_versions_come_from_go_mod(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(GO_MOD)
    assert module_version(tmp_path / "go.mod", "example.test/some") == "v1.2.3"
    assert module_version(tmp_path / "go.mod", "example.test/some/v2") == "v2.0.1"
    with pytest.raises(LabError, match=r"example\.test/other is not required"):
        module_version(tmp_path / "go.mod", "example.test/other")


def test_programs_report_the_pinned_version(tmp_path: Path) -> None:
    assert group(tmp_path).linker_flags() == "-s -w -X example.test/version.Is=v1.2.3 -X example.test/version.Minor=2"


def test_key_follows_every_input_and_nothing_else(tmp_path: Path) -> None:
    first = group(tmp_path).key("go1.26.8")
    assert group(tmp_path).key("go1.26.8") == first
    assert group(tmp_path).key("go1.27.0") != first

    (tmp_path / "main_test.go").write_text("package main")
    assert group(tmp_path).key("go1.26.8") == first
    (tmp_path / "main.go").write_text("package main")
    assert group(tmp_path).key("go1.26.8") != first
    (tmp_path / "main.go").unlink()
    assert group(tmp_path, go_mod=GO_MOD.replace("v1.2.3", "v1.2.4")).key("go1.26.8") != first


def pinned_twice(folder: Path, other_go_mod: str) -> tuple[GoGroup, GoGroup]:
    """A group built from `folder/sources`, and one from the same sources with the go.mod of `folder/pins`."""
    sources, pins = folder / "sources", folder / "pins"
    sources.mkdir()
    pins.mkdir()
    (sources / "main.go").write_text("package main")
    return group(sources), replace(group(pins, go_mod=other_go_mod), source=sources, pins=pins)


def test_pins_of_another_release_take_the_place_of_the_groups_own(tmp_path: Path) -> None:
    own, older = pinned_twice(tmp_path, GO_MOD.replace("v1.2.3", "v1.1.0"))
    sources, pins = tmp_path / "sources", tmp_path / "pins"
    assert (own.version(), older.version()) == ("v1.2.3", "v1.1.0")
    assert "Is=v1.1.0" in older.linker_flags()
    first = older.key("go1.26.8")
    assert first != own.key("go1.26.8")

    (sources / "go.mod").write_text(GO_MOD.replace("v1.2.3", "v1.3.0"))
    (sources / "go.sum").write_text("other sums")
    assert older.key("go1.26.8") == first
    (sources / "main.go").write_text("package main // changed")
    changed = older.key("go1.26.8")
    assert changed != first
    (pins / "go.sum").write_text("other sums")
    assert older.key("go1.26.8") != changed


def test_same_pins_elsewhere_make_the_same_programs(tmp_path: Path) -> None:
    own, moved = pinned_twice(tmp_path, GO_MOD)
    assert own.key("go1.26.8") == moved.key("go1.26.8")


@pytest.mark.parametrize("built", GROUPS, ids=lambda built: built.name)
def test_every_group_is_pinned(built: GoGroup) -> None:
    requires = "require" in (built.source / "go.mod").read_text()
    assert (built.source / "go.sum").is_file() == requires
    assert not requires or built.version().startswith("v")
    assert "{" not in built.linker_flags()


def fake_go(folder: Path, script: str) -> Go:
    program = folder / "go"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Go(program=program, version="go1.26.8")


WRITES_ITS_OUTPUT = """
echo example.test/some >&2
while [ "$1" != -o ]; do shift; done
echo program > "$2"
"""


def test_build_is_made_once_and_linked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tools, sources = tmp_path / "path", tmp_path / "sources"
    tools.mkdir()
    sources.mkdir()
    monkeypatch.setattr(toolchain, "LOGS", tmp_path / "logs")
    release = Release(groups=(group(sources),), store=tmp_path / "store", bin=tmp_path / "bin")
    monkeypatch.setattr(go_compiler, "ensure", lambda: fake_go(tools, WRITES_ITS_OUTPUT))
    (tmp_path / "store" / ".tools-interrupted").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "no-longer-built").touch()

    made = toolchain.ensure(release)
    assert (release.bin / "tool").read_text() == "program\n"
    assert made.program("tool").samefile(made.groups["tools"] / "tool")
    assert "building tools: done in" in capsys.readouterr().err
    assert [program.name for program in release.bin.iterdir()] == ["tool"]
    assert not (tmp_path / "store" / ".tools-interrupted").exists()

    monkeypatch.setattr(go_compiler, "ensure", lambda: fake_go(tools, "exit 1"))
    again = toolchain.ensure(release)
    assert again == made
    assert capsys.readouterr().err == ""


def test_failed_build_leaves_nothing_and_shows_why(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    go = fake_go(tmp_path, "echo 'main.go:1: no such thing' >&2; exit 1")
    destination = tmp_path / "store" / "tools-1"
    with pytest.raises(LabError, match=r"(?s)building tools failed.*main\.go:1: no such thing"):
        go_programs.build(group(sources), destination, tmp_path / "log", go)
    assert list(destination.parent.iterdir()) == []


def test_go_reads_the_pins_that_the_group_names(tmp_path: Path) -> None:
    own, older = pinned_twice(tmp_path, GO_MOD)
    go = fake_go(tmp_path, f'arguments="$*"\n{WRITES_ITS_OUTPUT}\necho "$PWD: $arguments" > "$2"')
    said: dict[str, str] = {}
    for name, built in {"own": own, "older": older}.items():
        go_programs.build(built, tmp_path / name, tmp_path / "log", go)
        said[name] = (tmp_path / name / "bin" / "tool").read_text()
    assert "-modfile" not in said["own"]
    assert said["older"].startswith(f"{tmp_path}/sources: build -modfile={tmp_path}/pins/go.mod ")


def test_build_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    go = fake_go(tmp_path, "exec sleep 60")
    monkeypatch.setattr(go_programs, "_PROGRAM_SECONDS", 0.2)
    with pytest.raises(LabError, match=r"building tool of tools: no end after .* run it again"):
        go_programs.build(group(sources), tmp_path / "store" / "tools-1", tmp_path / "log", go)
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize(("program", "verb"), [("tool", "build"), ("tool.test", "test -c -vet=off")])
def test_a_packages_tests_are_built_under_the_name_that_go_gives_them(tmp_path: Path, program: str, verb: str) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    go = fake_go(tmp_path, """said="$*"; while [ "$1" != -o ]; do shift; done; echo "$said" > "$2" """)
    built = replace(group(sources), programs={program: "example.test/some"})
    go_programs.build(built, tmp_path / "store" / "tools-1", tmp_path / "log", go)
    assert (tmp_path / "store" / "tools-1" / "bin" / program).read_text().startswith(f"{verb} -v ")
