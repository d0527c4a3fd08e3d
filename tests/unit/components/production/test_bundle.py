"""Programs are taken with their checksums, images once each, and one that would be two to a mirror is refused."""

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components import versions
from components.config import Cluster
from components.config.sections import PROGRAMS
from components.images import SCRIPT
from components.production.bundle import __main__ as command
from components.production.bundle import debian, images, programs
from components.production.stack import Declared, SiteError

VERSION = versions.KUBERNETES


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL at which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def publish(folder: Path, *, sums: bool = True) -> None:
    folder.mkdir(parents=True)
    for program in PROGRAMS:
        (folder / program).write_text(program)
        if sums:
            (folder / f"{program}.sha256").write_text(f"{hashlib.sha256(program.encode()).hexdigest()}  {program}\n")


def cluster(**others: Any) -> Cluster:
    return Cluster.model_validate({"name": "x", "endpoint": "192.0.2.10", **others})


@pytest.mark.parametrize("layout", ["v{}", "v{}/bin/linux/amd64"])
def test_programs_are_found_in_both_layouts(served: tuple[Path, str], tmp_path: Path, layout: str) -> None:
    folder, url = served
    publish(folder / layout.format(VERSION))
    into = programs.add(tmp_path / "bundle", cluster(), url)
    assert into == tmp_path / "bundle" / "files" / "kubernetes" / f"v{VERSION}"
    assert sorted(each.name for each in into.iterdir()) == sorted([*PROGRAMS, *(f"{each}.sha256" for each in PROGRAMS)])
    assert os.access(into / "kubeadm", os.X_OK)


def test_a_program_that_is_not_what_it_should_be_is_not_taken(served: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = served
    publish(folder / f"v{VERSION}")
    wrong = cluster(checksums={f"{VERSION}/kubelet": "0" * 64})
    with pytest.raises(SiteError, match=r"kubelet has the SHA-256 \w{64}, not 0{64}: nothing was taken"):
        programs.add(tmp_path / "bundle", wrong, url)
    assert not list((tmp_path / "bundle").rglob("*kubelet*"))


def test_a_program_without_a_checksum_beside_it_is_taken_by_the_stack_s(
    served: tuple[Path, str], tmp_path: Path
) -> None:
    folder, url = served
    publish(folder / f"v{VERSION}", sums=False)
    with pytest.raises(SiteError, match=r"argus:cluster\.checksums"):
        programs.add(tmp_path / "bundle", cluster(), url)
    given = {f"{VERSION}/{each}": hashlib.sha256(each.encode()).hexdigest() for each in PROGRAMS}
    assert programs.add(tmp_path / "bundle", cluster(checksums=given), url)


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="check this computer's way there"):
        programs.add(tmp_path, cluster(), "http://127.0.0.1:1")


def kubeadm(tmp_path: Path, *lines: str) -> Path:
    program = tmp_path / "kubeadm"
    program.write_text('#!/bin/sh\necho "$@" >>"$0.asked"\n' + "".join(f"echo {line}\n" for line in lines))
    program.chmod(0o755)
    return program


def test_images_of_others_are_those_of_pods_and_of_kubeadm(declared: Declared, tmp_path: Path) -> None:
    program = kubeadm(tmp_path, f"registry.k8s.io/kube-apiserver:v{VERSION}", "registry.k8s.io/etcd:3.6.5-0")
    found = images.foreign_images(declared, program)
    assert {"registry.k8s.io/etcd:3.6.5-0", f"ghcr.io/kedacore/keda:{versions.KEDA}"} <= set(found)
    assert len(found) == len(set(found))
    assert not any("/argus/" in each for each in found)
    assert f"--kubernetes-version v{VERSION}" in (tmp_path / "kubeadm.asked").read_text()


def test_two_images_that_a_mirror_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(SiteError, match=r"docker\.io/a/b:1 and quay\.io/a/b:1 are the same image 'a/b:1' to a mirror"):
        images.check_targets([("docker.io/a/b:1", "mirrored"), ("quay.io/a/b:1", "mirrored")])
    images.check_targets([("docker.io/a/b:1", "mirrored"), ("quay.io/a/b:2", "mirrored"), ("quay.io/a/b:1", "own")])


@pytest.mark.parametrize("name", ["docker.io/apache/kafka", "192.0.2.5:5000/kafka", "kafka"])
def test_an_image_is_asked_for_by_its_digest_alone_if_it_has_one(name: str) -> None:
    pinned = f"sha256:{'1' * 64}"
    assert images.source_of(f"{name}:3.9.1") == f"{name}:3.9.1"
    assert images.source_of(f"{name}:3.9.1@{pinned}") == images.source_of(f"{name}@{pinned}") == f"{name}@{pinned}"


def test_an_image_is_written_instead_of_pushed_and_not_built_again(tmp_path: Path) -> None:
    podman = tmp_path / "podman"
    podman.write_text(
        '#!/bin/sh\necho "$*" >>"$(dirname "$0")/ran"\n'
        "for last; do :; done\n"
        'case "$last" in dir:*) mkdir "${last#dir:}" && touch "${last#dir:}/manifest.json" ;; esac\n'
    )
    podman.chmod(0o755)
    archive = tmp_path / "images" / "x"
    archive.parent.mkdir()
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
        "ARGUS_IMAGE": "registry.invalid/argus/x:1",
        "ARGUS_BASE": "debian",
        "ARGUS_PLATFORM": "linux/amd64",
        "ARGUS_DOCKERFILE": "Dockerfile",
        "ARGUS_ARCHIVE": str(archive),
    }
    for _ in range(2):
        subprocess.run(
            ["bash", str(SCRIPT)], env=environment, stdin=subprocess.DEVNULL, check=True, capture_output=True
        )
    ran = (tmp_path / "ran").read_text().splitlines()
    assert [line.split()[0] for line in ran] == ["build", "push"]
    assert ran[1].endswith(f"registry.invalid/argus/x:1 dir:{archive}.new")
    assert (archive / "manifest.json").exists()


def test_packages_of_machines_and_of_the_computers_at_the_site_are_there(declared: Declared) -> None:
    found = command.debian_packages(declared)
    assert {"containerd", "haproxy", "docker-registry", "skopeo", "openssh-client"} <= found


def test_sources_are_the_release_its_updates_and_its_security_updates() -> None:
    lines = [each.line for each in debian.sources("trixie", "http://mirror/debian/", "http://mirror/debian-security")]
    assert [line.split()[4:] for line in lines] == [
        ["http://mirror/debian", "trixie", "main"],
        ["http://mirror/debian", "trixie-updates", "main"],
        ["http://mirror/debian-security", "trixie-security", "main"],
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--stack", "nowhere", "--only", "programs"], "there is no stack 'nowhere'"),
        (["--stack", "prod"], "--suite bookworm"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert command.main([*arguments, "--to", str(tmp_path / "bundle")]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
