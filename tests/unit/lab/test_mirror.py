import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from lab import mirror
from lab.toolchain import Toolchain
from lab.toolchain.releases import OWN, PREVIOUS, Release


def toolchain(folder: Path, content: str, release: Release = OWN) -> Toolchain:
    folder.mkdir()
    for program in ("kubeadm", "kubelet", "kubectl", "etcd"):
        (folder / program).write_text(f"{program} {content}")
    return Toolchain(release=replace(release, bin=folder), groups={})


def test_the_mirror_has_the_kubernetes_programs_where_the_stack_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "MIRROR_FOLDER", tmp_path / "mirror")
    folder = mirror.publish(toolchain(tmp_path / "old", "1"))
    assert folder == tmp_path / "mirror/kubernetes/v1.36.1"
    names = [name for program in ("kubeadm", "kubectl", "kubelet") for name in (program, f"{program}.sha256")]
    assert sorted(path.name for path in folder.iterdir()) == names
    mirror.publish(toolchain(tmp_path / "new", "2"))
    assert (folder / "kubelet").read_text() == "kubelet 2"
    assert sorted(path.name for path in folder.iterdir()) == names


def test_each_program_s_checksum_is_beside_it_also_in_a_mirror_from_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "MIRROR_FOLDER", tmp_path / "mirror")
    for content in ("1", "2"):
        made = toolchain(tmp_path / content, content)
        folder = mirror.publish(made)
        for program in ("kubeadm", "kubectl", "kubelet"):
            expected = hashlib.sha256(f"{program} {content}".encode()).hexdigest()
            assert (folder / f"{program}.sha256").read_text().strip() == expected
    (folder / "kubelet.sha256").unlink()
    mirror.publish(made)
    assert (folder / "kubelet.sha256").exists()


def test_the_mirror_has_releases_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "MIRROR_FOLDER", tmp_path / "mirror")
    own = mirror.publish(toolchain(tmp_path / "own", "1"))
    older = mirror.publish(toolchain(tmp_path / "older", "0", PREVIOUS))
    assert older == tmp_path / "mirror/kubernetes/v1.35.4"
    assert (older / "kubelet").read_text() == "kubelet 0"
    assert (own / "kubelet").read_text() == "kubelet 1"
