"""A bundle made of what is reached here, served as a site does, holds what machines ask for, with digests unchanged.

A registry on loopback stands for docker.io and registry.k8s.io, which are not reached here, and a folder for dl.k8s.io.
Debian's packages are Debian's.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from components import images as built_images
from components import versions
from components.config.sections import PROGRAMS
from components.pipeline.stages import STAGES, every_image, images_of
from components.production import serving, stack
from components.production.bundle import __main__ as bundle_command
from components.production.bundle import debian
from components.production.bundle.images import name_of
from lab.config import DEBIAN_MIRROR
from lab.machines.image import SUITE
from lab.toolchain.images import ensure_base
from tests.integration.services import free_port, wait_for
from tests.unit.stacks import LAB, configuration

VERSION = versions.KUBERNETES
KUBEADM_IMAGES = [
    *(f"{name}:v{VERSION}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")),
    "coredns/coredns:v1.14.1",
    f"pause:{versions.PAUSE}",
    "etcd:3.6.5-0",
]


@contextmanager
def running(command: Sequence[str], port: int) -> Iterator[None]:
    """A program that listens on loopback."""
    process = subprocess.Popen(command)

    def listening() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    try:
        wait_for(f"{command[0]} at {port}", listening)
        yield
    finally:
        process.terminate()
        ended = process.wait(timeout=30)
    # What is ended by a signal has ended as asked.
    assert ended in (0, -signal.SIGTERM)


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """A registry on loopback; its host and port."""
    port = free_port()
    config = folder / "registry.json"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(serving.registry_config(folder / "storage", f"127.0.0.1:{port}"))
    with running(serving.registry_command(config), port):
        yield f"127.0.0.1:{port}"


@contextmanager
def files(folder: Path) -> Iterator[str]:
    """A folder served over HTTP; its URL."""
    port = free_port()
    with running(serving.files_command(folder, "127.0.0.1", port), port):
        yield f"http://127.0.0.1:{port}"


def push(reference: str, folder: Path) -> None:
    """Push an image with one file, which says its own name."""
    folder.mkdir()
    (folder / "name").write_text(reference)
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as archive:
        archive.add(folder / "name", "name")
    layers = [_blob(folder, layer.read_bytes())]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layers[0]["digest"]]}}
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **_blob(folder, json.dumps(config).encode())},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar", **each} for each in layers],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    copy = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"dir:{folder}", f"docker://{reference}"]
    subprocess.run(copy, check=True)


def _blob(folder: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def digest(reference: str) -> str:
    """The digest that a registry has for an image."""
    asked = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{reference}"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def site(upstream: str, pinned: str) -> dict[str, Any]:
    """The lab's kind of stack, all of whose images are at `upstream`; Kafka's by its digest."""
    sections = {key.removeprefix("argus:"): section for key, section in configuration(LAB).items()}
    overrides = {name: f"{upstream}/official/{name}:1" for name in every_image(STAGES)}
    overrides["kafka"] += f"@{pinned}"
    return {
        **sections,
        "cluster": {**sections["cluster"], "imageRepository": upstream},
        "images": {"overrides": overrides},
    }


def publish_programs(folder: Path, upstream: str) -> None:
    """Programs as dl.k8s.io has them; kubeadm names images."""
    into = folder / f"v{VERSION}" / "bin" / "linux" / "amd64"
    into.mkdir(parents=True)
    named = "\n".join(f"echo {upstream}/{image}" for image in KUBEADM_IMAGES)
    for program in PROGRAMS:
        (into / program).write_text(f"#!/bin/sh\n# {program}\n{named}\n")
        serving.write_checksum(into / program)


def test_a_bundle_serves_the_images_and_programs_of_a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "bundle"
    with ExitStack() as running_here:
        upstream = running_here.enter_context(registry(tmp_path / "upstream"))
        names = [f"official/{name}:1" for name in every_image(STAGES)]
        names += [*KUBEADM_IMAGES, f"metrics-server/metrics-server:{versions.METRICS_SERVER}"]
        for number, name in enumerate(names):
            push(f"{upstream}/{name}", tmp_path / f"image-{number}")
        before = {name: digest(f"{upstream}/{name}") for name in names}
        publish_programs(tmp_path / "dl", upstream)
        dl = running_here.enter_context(files(tmp_path / "dl"))
        monkeypatch.setattr(bundle_command, "read", lambda _: site(upstream, before["official/kafka:1"]))
        arguments = ["--stack", "site", "--to", str(bundle), "--only", "programs,images", "--binaries", dl]
        assert bundle_command.main([*arguments, "--insecure", upstream]) == 0

    # Elsewhere, where only the bundle is.
    carried = tmp_path / "carried"
    shutil.copytree(bundle, carried)
    serve = [sys.executable, str(carried / "serve.py")]
    subprocess.run([*serve, "check"], check=True)
    port, files_port = free_port(), free_port()
    ports = ["--registry-port", str(port), "--files-port", str(files_port)]
    with running([*serve, "serve", "--address", "127.0.0.1", *ports], port):
        mirror = f"127.0.0.1:{port}"
        subprocess.run([*serve, "load", "--to", mirror, "--insecure"], check=True)
        # Those of parts that not every stack has are there where this one has them.
        settings = stack.declare(site(upstream, before["official/kafka:1"])).settings
        unwanted = every_image(STAGES).keys() - {each.name for each in images_of(STAGES, settings)}
        wanted = [name for name in names if name not in {f"official/{each}:1" for each in unwanted}]
        assert len(serving.images(carried)) == len(wanted)
        # As containerd asks a mirror: without the registry's name.
        assert {name: digest(f"{mirror}/{name}") for name in wanted} == {name: before[name] for name in wanted}
        assert digest(f"{mirror}/official/kafka@{before['official/kafka:1']}") == before["official/kafka:1"]
        base = f"http://127.0.0.1:{files_port}/kubernetes/v{VERSION}"
        for program in PROGRAMS:
            with urlopen(f"{base}/{program}") as answer, urlopen(f"{base}/{program}.sha256") as summed:
                assert hashlib.sha256(answer.read()).hexdigest() == summed.read().decode().strip()


@pytest.mark.full
def test_an_interrupted_bundle_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    with registry(tmp_path / "upstream") as upstream, ExitStack() as running_here:
        names = [*KUBEADM_IMAGES, *(f"official/{name}:1" for name in every_image(STAGES))]
        for number, name in enumerate(names):
            push(f"{upstream}/{name}", tmp_path / f"image-{number}")
        publish_programs(tmp_path / "dl", upstream)
        dl = running_here.enter_context(files(tmp_path / "dl"))
        pinned = digest(f"{upstream}/official/kafka:1")
        monkeypatch.setattr(bundle_command, "read", lambda _: site(upstream, pinned))
        arguments = ["--stack", "site", "--to", str(bundle), "--only", "programs,images", "--binaries", dl]
        arguments += ["--insecure", upstream]
        # metrics-server's image is not there yet.
        assert bundle_command.main(arguments) == 1
        assert "metrics-server" in capsys.readouterr().err
        assert not (bundle / serving.IMAGES).exists()
        first = bundle / "images" / name_of(f"{upstream}/etcd:3.6.5-0") / "manifest.json"
        kept = first.stat()
        push(f"{upstream}/metrics-server/metrics-server:{versions.METRICS_SERVER}", tmp_path / "late")
        assert bundle_command.main(arguments) == 0
        assert (first.stat().st_ino, first.stat().st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)
        assert serving.check(bundle) > len(names)


@pytest.mark.full
def test_apt_takes_packages_from_a_bundle_by_debian_s_signature(tmp_path: Path) -> None:
    given = debian.sources(SUITE, DEBIAN_MIRROR, debian.SECURITY)
    number = debian.add(tmp_path / "bundle", ["socat"], given)
    assert number > 3
    with files(tmp_path / "bundle" / serving.FILES) as url:
        again = debian.sources(SUITE, f"{url}/debian", f"{url}/debian-security")
        # apt checks the signature, the index and each package, as on a machine.
        assert debian.add(tmp_path / "again", ["socat"], again) == number
        assert _packages(tmp_path / "again") == _packages(tmp_path / "bundle")
        index = next((tmp_path / "bundle").rglob(f"dists/{SUITE}/InRelease"))
        index.write_text(index.read_text().replace("Label: Debian", "Label: Other"))
        with pytest.raises(stack.SiteError, match="signature"):
            debian.add(tmp_path / "forged", ["socat"], again)


def _packages(bundle: Path) -> list[Path]:
    return sorted(each.relative_to(bundle) for each in bundle.rglob("*.deb"))


@pytest.mark.full
def test_every_package_that_a_site_needs_is_found(tmp_path: Path) -> None:
    declared = stack.declare(site("127.0.0.1:1", f"sha256:{'0' * 64}"))
    wanted = bundle_command.debian_packages(declared)
    debian.add(tmp_path, wanted, debian.sources(SUITE, DEBIAN_MIRROR, debian.SECURITY))
    names = {each.name.partition("_")[0] for each in _packages(tmp_path)}
    assert wanted <= names


@pytest.mark.full
def test_an_image_that_is_built_for_a_bundle_is_the_one_that_a_preview_asks_for(tmp_path: Path) -> None:
    ensure_base()
    image = every_image(STAGES)["elasticsearch-proxy"]
    parts = built_images.context(image, {})
    with registry(tmp_path / "site") as mirror:
        reference = f"{mirror}/argus/{image.name}:{built_images.content_tag(parts, 'debian:trixie-slim')}"
        folder = tmp_path / "images" / name_of(reference)
        folder.parent.mkdir()
        environment = {
            **os.environ,
            "ARGUS_IMAGE": reference,
            "ARGUS_BASE": "debian:trixie-slim",
            "ARGUS_DOCKERFILE": f"containers/{image.name}/Dockerfile",
            "ARGUS_PLATFORM": "linux/amd64",
            "ARGUS_REGISTRIES": f"{mirror}\t-\t-\tinsecure\n",
            "ARGUS_PRINT_DIGEST": "1",
        }
        staged = "".join(f"{path}\t{target}\n" for part in parts for target, path in part.files())
        command = ["bash", str(built_images.SCRIPT)]
        archive = {**environment, "ARGUS_ARCHIVE": str(folder)}
        subprocess.run(command, env=archive, input=staged, text=True, check=True)
        (tmp_path / serving.IMAGES).write_text(f"images/{folder.name}\t{reference}\town\n")
        serving.load(tmp_path, mirror, insecure=True)
        # As `pulumi up` at the site does: it finds the image, so it needs no podman. Without one, a build would fail.
        without = {**environment, "PATH": _path_with(*_SMALL, into=tmp_path / "bin")}
        done = subprocess.run(command, env=without, input=staged, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == digest(reference)


_SMALL = ("base64", "bash", "curl", "head", "mkdir", "mktemp", "rm", "sed", "tail")
"""What a computer needs that finds an image in the registry."""


def _path_with(*programs: str, into: Path) -> str:
    into.mkdir()
    for program in programs:
        (into / program).symlink_to(str(shutil.which(program)))
    return str(into)
