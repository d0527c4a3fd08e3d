import hashlib
import os
import re
import subprocess
from pathlib import Path
from types import MappingProxyType

import pytest

from lab.cameras import footage
from lab.config import LabError

VIDEO = b"a video"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and one footage file to fetch."""
    monkeypatch.setattr(footage, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(footage, "CHECKSUMS", MappingProxyType({"vtest.avi": hashlib.sha256(VIDEO).hexdigest()}))
    monkeypatch.setattr(footage, "_FETCH", MappingProxyType({"vtest.avi": footage._from_debian}))
    return tmp_path / "cache" / "cameras"


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the file `updated` means that package lists exist, and `apt-get` provides `made.deb`."""
    content = tmp_path / "content"
    (content / "DEBIAN").mkdir(parents=True)
    control = "Package: opencv-doc\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n"
    (content / "DEBIAN" / "control").write_text(control)
    path = content / footage._DEBIAN_PATH / "vtest.avi"
    path.parent.mkdir(parents=True)
    path.write_bytes(VIDEO)
    subprocess.run(["dpkg-deb", "--build", content, tmp_path / "made.deb"], check=True, capture_output=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "apt-get").write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n'
        f'case "$*" in *update*) touch {tmp_path}/updated ;;\n'
        f"*) [ -e {tmp_path}/updated ] && cp {tmp_path}/made.deb opencv-doc_1_all.deb ;; esac\n"
    )
    (programs / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path


def calls(debian: Path) -> list[str]:
    return [line.split()[-1] if "download" not in line else "download" for line in (debian / "calls").open()]


def test_the_footage_is_pinned_by_checksum() -> None:
    lines = [line for line in footage._REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert len(lines) == 1
    assert footage._FETCH.keys() == footage.CHECKSUMS.keys()
    assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in footage.CHECKSUMS.values())


def test_a_file_of_a_debian_package_is_fetched_once(cache: Path, debian: Path) -> None:
    (debian / "updated").touch()
    folder = footage.ensure()
    assert footage.ensure() == folder
    assert [path.name for path in folder.iterdir()] == ["vtest.avi"]
    assert (folder / "vtest.avi").read_bytes() == VIDEO
    assert calls(debian) == ["download"]
    assert [path.name for path in cache.iterdir()] == [folder.name]


def test_empty_package_lists_are_fetched_first(cache: Path, debian: Path) -> None:
    assert (footage.ensure() / "vtest.avi").read_bytes() == VIDEO
    assert calls(debian) == ["download", "update", "download"]


def test_another_video_is_refused(cache: Path, debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (debian / "updated").touch()
    monkeypatch.setattr(footage, "CHECKSUMS", MappingProxyType({"vtest.avi": "0" * 64}))
    found = hashlib.sha256(VIDEO).hexdigest()
    with pytest.raises(LabError, match=f"vtest.avi: SHA-256 {found}, but {'0' * 64} is pinned in lab.cameras.footage"):
        footage.ensure()
    assert list(cache.iterdir()) == []


def test_a_package_without_the_file_says_so(cache: Path, debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (debian / "updated").touch()
    monkeypatch.setattr(footage, "_DEBIAN_PATH", "./usr/share/elsewhere")
    with pytest.raises(LabError, match=r"elsewhere/vtest\.avi: Not found in archive"):
        footage.ensure()
    assert list(cache.iterdir()) == []
