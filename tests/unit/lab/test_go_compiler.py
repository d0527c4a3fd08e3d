import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import __main__ as cli
from lab.config import LabError
from lab.toolchain import go_compiler
from lab.toolchain.go_compiler import VERSION, ensure, needed, numbers, proxies

OLD = "go1.19.8"


def go_that_says(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without Go, with a separate cache. Returns the folder on its PATH."""
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("GOENV", str(tmp_path / "goenv"))
    monkeypatch.setattr(go_compiler, "_FOLDER", tmp_path / "cache" / "go")
    monkeypatch.setattr(go_compiler.platform, "machine", lambda: "x86_64")
    return path


@pytest.fixture
def serve(tmp_path: Path, host: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Let a file-based module proxy serve a pinned toolchain. Returns its zip."""

    def served(pinned: str | None = None) -> Path:
        module = f"golang.org/toolchain@v0.0.1-go{VERSION}.linux-amd64"
        file = tmp_path / "proxy" / f"golang.org/toolchain/@v/v0.0.1-go{VERSION}.linux-amd64.zip"
        file.parent.mkdir(parents=True)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{module}/bin/go", go_that_says(f"go{VERSION}"))
            archive.writestr(f"{module}/pkg/tool/linux_amd64/compile", "#!/bin/sh\n")
            archive.writestr(f"{module}/src/_go.mod", "module std\n")
            archive.writestr(f"{module}/src/fmt/print.go", "package fmt\n")
        checksum = pinned or hashlib.sha256(file.read_bytes()).hexdigest()
        monkeypatch.setattr(go_compiler, "CHECKSUMS", {"amd64": checksum})
        monkeypatch.setenv("GOPROXY", (tmp_path / "proxy").as_uri())
        return file

    return served


def put_on_path(folder: Path, version: str) -> Path:
    program = folder / "go"
    program.write_text(go_that_says(version))
    program.chmod(0o755)
    return program


def test_the_pinned_go_compiles_every_program_of_the_lab() -> None:
    assert numbers(VERSION) >= needed() >= (1, 26)
    assert set(go_compiler.CHECKSUMS) == set(go_compiler._ARCHITECTURES.values())


def test_a_new_enough_go_on_path_is_used(host: Path) -> None:
    program = put_on_path(host, "go1.99.1")
    assert (ensure().program, ensure().version) == (program, "go1.99.1")


@pytest.mark.parametrize("found", [None, OLD, ""])
def test_where_there_is_none_or_an_old_one_it_comes_from_the_module_proxy(
    host: Path, serve: Callable[..., Path], found: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    serve()
    if found is not None:
        put_on_path(host, found)
    go = ensure()
    assert go.version == f"go{VERSION}"
    root = go.program.parents[1]
    assert os.access(root / "pkg/tool/linux_amd64/compile", os.X_OK)
    assert not os.access(root / "src/fmt/print.go", os.X_OK)
    assert (root / "src/go.mod").read_text() == "module std\n"
    assert f"Go {VERSION} from the module proxy: done in" in capsys.readouterr().err


def test_it_is_downloaded_once_and_what_an_interrupted_run_left_is_cleared_away(
    host: Path, serve: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    archive = serve()
    leftover = go_compiler._FOLDER / ".go-interrupted"
    leftover.mkdir(parents=True)
    first = ensure()
    assert not leftover.exists()
    archive.unlink()
    capsys.readouterr()
    assert ensure() == first
    assert capsys.readouterr().err == ""


def test_another_file_than_the_pinned_one_is_refused_with_the_remedy(host: Path, serve: Callable[..., Path]) -> None:
    serve(pinned="0" * 64)
    with pytest.raises(
        LabError, match=r"SHA-256 [0-9a-f]{64}, but 0{64} is pinned .*: set GOPROXY to another proxy, or"
    ):
        ensure()
    assert [each.name for each in go_compiler._FOLDER.iterdir()] == [".lock"]


def test_a_proxy_that_does_not_answer_is_named_without_its_password_and_the_next_is_asked(
    host: Path, serve: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = serve()
    good = archive.parents[3].as_uri()
    nobody = "http://me:secret@127.0.0.1:1"
    monkeypatch.setenv("GOPROXY", f"{nobody}|{good},direct")
    assert ensure().version == f"go{VERSION}"

    monkeypatch.setattr(go_compiler, "_FOLDER", host / "another")
    monkeypatch.setenv("GOPROXY", f"{nobody},direct")
    with pytest.raises(
        LabError, match=r"cannot be had .*http://127\.0\.0\.1:1: .*: set GOPROXY to one, or install Go"
    ) as error:
        ensure()
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_no_proxy_at_all_is_said(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    with pytest.raises(LabError, match=r"GOPROXY names none.*install Go .* from https://go\.dev/dl"):
        ensure()


def test_an_architecture_without_a_checksum_is_refused(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_compiler.platform, "machine", lambda: "riscv64")
    with pytest.raises(LabError, match=r"no Go is pinned for riscv64: install Go"):
        ensure()


def test_the_proxy_is_gos_own(host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOPROXY", raising=False)
    assert proxies() == ["https://proxy.golang.org"]
    (tmp_path / "goenv").write_text("# as `go env -w` writes it\nGOPROXY=https://go.example.test/,direct\nGOFLAGS=-v\n")
    assert proxies() == ["https://go.example.test"]
    monkeypatch.setenv("GOPROXY", "https://other.example.test|off")
    assert proxies() == ["https://other.example.test"]


def test_its_folder_is_printed_for_path(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_path(host, "go1.99.1")
    assert cli.main(["go"]) == 0
    assert capsys.readouterr().out == f"{host}\n"
    put_on_path(host, OLD)
    monkeypatch.setenv("GOPROXY", "off")
    assert cli.main(["go"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "lab go: Go" in said.err
