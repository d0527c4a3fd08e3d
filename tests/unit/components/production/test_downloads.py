"""The list of downloads has everything that the program names, and where it is checked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components import versions
from components.cluster.packages import packages_of
from components.config.sections import PROGRAMS
from components.pipeline.stages import STAGES, every_image, images_of
from components.production import downloads
from components.production.downloads import Download, builds, locked, page, pod_images
from components.production.downloads import downloads as downloads_of
from components.production.stack import Declared, declare

DIGEST = f"sha256:{'1' * 64}"


def rows(found: list[Download], what: str) -> list[Download]:
    return [each for each in found if what in each.what]


def test_every_image_of_a_pod_is_there_once_with_its_source(declared: Declared) -> None:
    found = downloads_of(declared)
    images = pod_images(declared)
    declarations = json.dumps([each.inputs for each in declared.resources], default=str)
    assert set(images) == set(re.findall(r'"image": "([^"]+)"', declarations))
    built = builds(declared)
    for image in images:
        name = image.rpartition(":")[0] if image in built else image
        (row,) = [each for each in found if each.by == "pods" and each.what == f"image `{name}`"]
        assert row.source == image.split("/")[0]
    wanted = {each.name for each in images_of(STAGES, declared.settings)}
    assert set(built.values()) == wanted - declared.settings.images.overrides.keys()
    assert f"ghcr.io/kedacore/keda:{versions.KEDA}" in images


def test_what_has_no_digest_and_no_checksum_names_its_key(hosts: dict[str, Any], declared: Declared) -> None:
    (kubelet,) = rows(downloads_of(declared), "`kubelet`")
    (pause, _) = rows(downloads_of(declared), "registry.k8s.io/pause")
    assert "cluster.checksums" in kubelet.checked and "https://dl.k8s.io" in kubelet.source
    assert "images.digests" in pause.checked
    cluster = {**hosts["cluster"], "checksums": {f"{versions.KUBERNETES}/{each}": "2" * 64 for each in PROGRAMS}}
    images = {**hosts["images"], "digests": {f"registry.k8s.io/pause:{versions.PAUSE}": DIGEST}}
    found = downloads_of(declare({**hosts, "cluster": cluster, "images": images}))
    assert "2" * 64 in rows(found, "`kubelet`")[0].checked
    assert all(DIGEST in each.checked for each in rows(found, "registry.k8s.io/pause"))


def test_a_mirror_and_other_sources_are_those_of_the_stack(hosts: dict[str, Any]) -> None:
    cluster = {
        **hosts["cluster"],
        "registryMirror": "http://192.0.2.5:5000",
        "binaries": "http://192.0.2.5:8088/kubernetes",
    }
    found = downloads_of(declare({**hosts, "cluster": cluster}))
    assert all("192.0.2.5:5000" in each.source for each in found if each.by == "pods")
    assert "192.0.2.5:8088" in rows(found, "`kubeadm`")[0].source


def test_packages_of_machines_are_those_that_a_machine_installs(declared: Declared) -> None:
    found = downloads_of(declared)
    said = " ".join(each.what for each in found if each.by in ("every machine", "control planes"))
    wanted = packages_of(control_plane=True, bounded=False, encryption=None, copies=False)
    assert all(f"`{package}`" in said for package in wanted)
    assert "`age`" not in said


def test_images_that_are_not_built_need_nothing_of_other_registries(hosts: dict[str, Any]) -> None:
    overrides = {name: f"registry.example.com/{name}:1" for name in every_image(STAGES)}
    found = downloads_of(declare({**hosts, "images": {**hosts["images"], "overrides": overrides}}))
    assert [each for each in found if each.by.startswith("the computer that builds")] == []


def test_images_of_a_network_of_one_s_own_are_there(hosts: dict[str, Any], tmp_path: Path) -> None:
    pod = {
        "spec": {
            "initContainers": [{"image": "quay.io/net/install:1"}],
            "containers": [{"image": "quay.io/net/node:1"}],
        }
    }
    item = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "net"}, "spec": {"template": pod}}
    file = tmp_path / "network.yaml"
    file.write_text(json.dumps(item))
    found = pod_images(declare({**hosts, "cluster": {**hosts["cluster"], "network": {"manifest": str(file)}}}))
    assert {"quay.io/net/install:1", "quay.io/net/node:1"} <= set(found)


def test_a_lock_is_read_by_name(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("pulumi==3.1.0 \\\n    --hash=sha256:00\n    # via x\nuvicorn[standard]==1.2 \\\n")
    assert locked(lock) == {"pulumi": "3.1.0", "uvicorn": "1.2"}


def test_a_table_has_what_is_alike_in_one_row() -> None:
    one = Download(by="pods", what="a", source="x", checked="y")
    other = Download(by="pods", what="b", source="x", checked="y")
    third = Download(by="pods", what="c", source="z", checked="y")
    assert page([one, other, third]).splitlines()[2:] == ["| pods | a<br>b | x | y |", "| pods | c | z | y |"]


def test_a_stack_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert downloads.main(["--stack", "nowhere"]) == 1
    assert "there is no stack 'nowhere'" in capsys.readouterr().err
