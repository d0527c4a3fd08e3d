"""Images at a real registry, signed and verified by cosign: what is refused, and how one key replaces another.

A Pulumi program of the test's own makes the components that the stack's program makes, so that "nothing is rolled out"
is what the engine did.
"""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from components.signatures import SCRIPT
from lab import toolchain
from lab.config import ROOT
from lab.podman import podman
from lab.toolchain.releases import COSIGN
from tests.integration.providers.conftest import Project, free_port, running, wait_for_port

pytestmark = pytest.mark.full

PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import json
    import pulumi
    from pathlib import Path
    from pulumi_command import local
    from components import images
    from components.config import sections
    from components.signatures import Signatures, SignaturesArgs
    images.ROOT = Path({folder!r})
    section = sections.Images.model_validate(json.loads(Path({section!r}).read_text()))
    verified = Signatures("signatures", SignaturesArgs(section=section)).verified
    built = images.Images(
        "images", images.ImagesArgs(images=[images.Image(name="small")], section=section, models=[]),
        pulumi.ResourceOptions(depends_on=[verified]),
    )
    rolled = local.Command("rolled", create="touch {folder}/rolled", opts=pulumi.ResourceOptions(
        depends_on=built.builds, delete_before_replace=True), triggers=[built.refs["small"]])
    pulumi.export("image", built.refs["small"])
"""
"""`rolled` stands for all that comes after: it runs when the image is another one."""


SIGN = 'say() { echo "$*" >&2; }; source "${0%/*}/registries.sh"; source "$0"; sign "$@"'


@cache
def cosign() -> Path:
    return toolchain.ensure(COSIGN).program("cosign")


@dataclass(frozen=True)
class Keys:
    """A pair of keys as `cosign generate-key-pair` makes it."""

    private: str
    public: str
    passphrase: str

    @property
    def section(self) -> dict[str, str]:
        return {"privateKey": self.private, "passphrase": self.passphrase}


def pair(folder: Path, name: str, passphrase: str = "open sesame") -> Keys:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "COSIGN_PASSWORD": passphrase}
    command = [cosign(), "generate-key-pair", "--output-key-prefix", name]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return Keys((folder / f"{name}.key").read_text(), (folder / f"{name}.pub").read_text(), passphrase)


class Registry:
    """Debian's docker-registry on loopback, with its files in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.host = folder, f"127.0.0.1:{port}"

    def push(self, name: str, text: str) -> str:
        """Push an image with one file under a tag; return the reference with its digest."""
        context = self.folder / "context"
        context.mkdir(exist_ok=True)
        (context / "text").write_text(text)
        (context / "Containerfile").write_text("FROM scratch\nCOPY text /\n")
        reference, digest = f"{self.host}/{name}", self.folder / "digest"
        podman("build", "--isolation=chroot", "--tag", reference, str(context), timeout=300)
        podman("push", "--quiet", "--tls-verify=false", "--digestfile", str(digest), reference, timeout=300)
        podman("rmi", reference)
        return f"{reference}@{digest.read_text().strip()}"

    def sign(self, image: str, keys: Keys, *options: str) -> None:
        """Sign an image as its publisher would."""
        name, digest = image.split("@")
        path = os.pathsep.join([str(cosign().parent), os.environ["PATH"]])
        environment = {
            **os.environ,
            "PATH": path,
            "COSIGN_PRIVATE_KEY": keys.private,
            "COSIGN_PASSWORD": keys.passphrase,
        }
        command = ["bash", "-c", SIGN, str(SCRIPT.with_name("signatures.sh")), f"{name.rpartition(':')[0]}@{digest}"]
        command += ["--allow-http-registry", *options]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def retag(self, image: str, name: str) -> None:
        """Let a tag of the same repository be that of another image, as who can push may do."""
        tagged, digest = image.removeprefix(f"{self.host}/").split("@")
        repository = tagged.rpartition(":")[0]
        url, kind = f"http://{self.host}/v2/{repository}/manifests/", "application/vnd.oci.image.manifest.v1+json"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{url}{digest}", headers={"Accept": kind})) as answer:
            manifest = answer.read()
        put = urllib.request.Request(f"{url}{name}", data=manifest, headers={"Content-Type": kind}, method="PUT")
        opener.open(put).close()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    folder, port = tmp_path / "registry", free_port()
    folder.mkdir()
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    program = shutil.which("docker-registry")
    assert program, "docker-registry is not installed: lab/bootstrap.sh installs it"
    with running([program, "serve", str(folder / "config.yml")], folder / "log"):
        wait_for_port(port)
        made = Registry(folder, port)
        yield made
        names = podman(
            "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={made.host}/*/*"
        ).split()
        if names:
            podman("rmi", *names)


class Site:
    """A stack with one image that it builds and one that it names, of another publisher."""

    def __init__(self, project: Project, registry: Registry, keys: Path) -> None:
        self._project, self._registry, self._keys = project, registry, keys
        self.folder = project.folder
        source = self.folder / "containers/small"
        source.mkdir(parents=True)
        (source / "Dockerfile").write_text("ARG BASE\nFROM scratch\nCOPY containers/small/text /\n")
        (source / "text").write_text("first")
        self.own, self.publisher = pair(keys, "own"), pair(keys, "publisher", "")
        self.official = registry.push("official/kafka:1", "kafka")
        section, folder = str(self.folder / "section.json"), str(self.folder)
        project.environment["PATH"] = os.pathsep.join([str(cosign().parent), project.environment["PATH"]])
        project.program(PROGRAM.format(root=str(ROOT), folder=folder, section=section))
        (self.folder / "components").symlink_to(ROOT / "components")
        self.section: dict[str, Any] = {
            "registry": registry.host,
            "insecure": True,
            "requireDigests": True,
            "base": f"debian@sha256:{'0' * 64}",
            "overrides": {"kafka": self.official},
            "signing": self.own.section,
            "signers": [
                {"images": f"{registry.host}/official/*", "keys": [self.publisher.public]},
                {"images": f"{registry.host}/*", "keys": [self.own.public]},
                {"images": "debian", "unsigned": True},
            ],
        }

    def own_keys(self, *public: str) -> None:
        self.section["signers"][1]["keys"] = list(public)

    def up(self, ok: bool = True) -> str:
        """What `pulumi up` prints; nothing may have been rolled out if it fails."""
        (self.folder / "section.json").write_text(json.dumps(self.section))
        (self.folder / "rolled").unlink(missing_ok=True)
        text = self._project.up(ok=ok).text
        assert ok or not (self.folder / "rolled").exists()
        assert self.own.passphrase not in text
        return text

    @property
    def rolled(self) -> bool:
        """Whether the last update had another image."""
        return (self.folder / "rolled").exists()

    @property
    def image(self) -> str:
        image: str = self._project.outputs()["image"]
        return image

    def state(self) -> str:
        return self._project.pulumi("stack", "export").text

    def edit(self, text: str) -> None:
        (self.folder / "containers/small/text").write_text(text)


@pytest.fixture
def site(project: Project, registry: Registry, tmp_path: Path) -> Site:
    return Site(project, registry, tmp_path / "keys")


def test_what_is_signed_is_rolled_out_and_no_secret_is_in_the_state(site: Site, registry: Registry) -> None:
    registry.sign(site.official, site.publisher)
    site.up()
    assert site.rolled
    assert site.image.startswith(f"{registry.host}/argus/small:")
    state = site.state()
    assert site.own.passphrase not in state
    assert site.own.private.splitlines()[1] not in state
    assert digest_of(site.image) in state
    site.up()
    assert not site.rolled


def test_an_official_image_that_is_unsigned_or_signed_by_another_is_refused_by_name(
    site: Site, registry: Registry, tmp_path: Path
) -> None:
    for signs in (None, pair(tmp_path / "keys", "stranger")):
        if signs:
            registry.sign(site.official, signs)
        said = site.up(ok=False)
        assert f"{site.official}: not verified by argus:images.signers[0].keys[0] (SHA-256 " in said
        assert "so nothing is rolled out" in said
    registry.sign(site.official, site.publisher)
    site.up()
    assert site.rolled


def test_a_tag_that_was_given_another_image_is_refused_or_built_anew(
    site: Site, registry: Registry, tmp_path: Path
) -> None:
    registry.sign(site.official, site.publisher)
    site.up()
    older = site.image
    site.edit("second")
    site.up()
    newer = site.image
    tag = tag_of(newer)
    assert tag_of(older) != tag
    unsigned, another = (registry.push(f"argus/small:{text}", text) for text in ("unsigned", "another"))
    registry.sign(another, pair(tmp_path / "keys", "stranger"), "--annotations", f"argus.dev/image=argus/small:{tag}")
    # Another computer, whose builds ask again: it has no key that signs. The older image is well signed, as what it is.
    signing = site.section.pop("signing")
    for image in (unsigned, another, older):
        registry.retag(image, tag)
        said = site.up(ok=False)
        assert f"@{digest_of(image)}: not verified by argus:images.signers[1].keys[0] (SHA-256 " in said
        assert "this computer has no argus:images.signing" in said
    # With the key, what this stack has built already stays, by its digest, whatever its tag is given.
    site.section["signing"] = signing
    site.up()
    assert site.image == newer
    # What it builds anew takes a tag's place.
    site.edit("third")
    site.up()
    third = site.image
    site.edit("second")
    site.up()
    registry.retag(unsigned, tag_of(third))
    site.edit("third")
    assert "another is built in its place" in site.up()
    assert tag_of(site.image) == tag_of(third)
    assert digest_of(site.image) not in {digest_of(each) for each in (unsigned, another, older, newer)}


def tag_of(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[2]


def digest_of(image: str) -> str:
    return image.partition("@")[2]


def test_one_key_replaces_another_and_nothing_is_built_anew(site: Site, registry: Registry, tmp_path: Path) -> None:
    registry.sign(site.official, site.publisher)
    site.up()
    image, new = site.image, pair(tmp_path / "keys", "new", "another")
    # The new key alone is refused: nobody has signed with it yet, and this computer does not have it.
    site.own_keys(new.public)
    site.section.pop("signing")
    assert "not verified by argus:images.signers[1].keys[0]" in site.up(ok=False)
    # Both keys, and the new one signs: what is in the registry is signed by it too.
    site.own_keys(site.own.public, new.public)
    site.section["signing"] = new.section
    site.up()
    assert (site.rolled, site.image) == (False, image)
    # The old key goes, also on a computer that signs nothing.
    site.own_keys(new.public)
    site.section.pop("signing")
    site.up()
    assert (site.rolled, site.image) == (False, image)


def test_a_wrong_passphrase_and_a_key_that_nobody_verifies_are_said(site: Site, registry: Registry) -> None:
    registry.sign(site.official, site.publisher)
    site.section["signing"] = {**site.own.section, "passphrase": "wrong"}
    assert "the private key cannot be read" in site.up(ok=False)
    site.section["signing"] = site.publisher.section
    assert "was signed, but by no key of argus:images.signers for it" in site.up(ok=False)
