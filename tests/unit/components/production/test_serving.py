"""Where images of a bundle go, and what is said of a bundle that is not whole."""

import json
from pathlib import Path

import pytest

from components.production import serving


@pytest.mark.parametrize(
    ("reference", "kind", "to"),
    [
        ("registry.k8s.io/pause:3.10.2", "mirrored", "mirror:5000/pause:3.10.2"),
        ("registry.k8s.io/coredns/coredns:v1.14.1", "mirrored", "mirror:5000/coredns/coredns:v1.14.1"),
        ("docker.io/apache/kafka:3.9.1", "mirrored", "mirror:5000/apache/kafka:3.9.1"),
        ("apache/kafka:3.9.1", "mirrored", "mirror:5000/apache/kafka:3.9.1"),
        ("zookeeper:3.9.4", "mirrored", "mirror:5000/library/zookeeper:3.9.4"),
        (f"localhost/a:1@sha256:{'0' * 64}", "mirrored", "mirror:5000/a:1"),
        ("192.0.2.1:5000/a:1", "mirrored", "mirror:5000/a:1"),
        ("registry.example.com/video/argus/ui:1", "own", "registry.example.com/video/argus/ui:1"),
    ],
)
def test_an_image_goes_where_containerd_asks_for_it(reference: str, kind: str, to: str) -> None:
    assert serving.target(reference, kind, "mirror:5000") == to


def test_a_bundle_that_was_damaged_on_its_way_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("files/a", "images/b/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    # What a site's own registry holds is no part of it, nor are the sums of an earlier bundle in the same folder.
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "blob").write_text("changes")
    for _ in range(2):
        serving.write_sums(tmp_path)
    assert serving.main(["--bundle", str(tmp_path), "check"]) == 0
    assert "2 files" in capsys.readouterr().out
    (tmp_path / "images/b/c").write_text("other")
    (tmp_path / "files/a").unlink()
    assert serving.main(["--bundle", str(tmp_path), "check"]) == 1
    assert "missing or damaged: files/a, images/b/c: copy" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["check"], ["load", "--to", "mirror:5000"]])
def test_what_is_no_bundle_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "skopeo").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert serving.main(["--bundle", str(tmp_path), *command]) == 1
    assert "this is no whole bundle" in capsys.readouterr().err


def test_a_program_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert serving.main(["--bundle", str(tmp_path), "load", "--to", "mirror:5000"]) == 1
    assert "install it" in capsys.readouterr().err
    assert serving.main(["--bundle", str(tmp_path), "serve", "--address", "127.0.0.1"]) == 1
    assert "docker-registry" in capsys.readouterr().err


def test_the_registry_s_configuration_has_its_folder_and_address(tmp_path: Path) -> None:
    config = json.loads(serving.registry_config(tmp_path, "192.0.2.5:5000"))
    assert config["storage"]["filesystem"]["rootdirectory"] == str(tmp_path)
    assert config["http"]["addr"] == "192.0.2.5:5000"
