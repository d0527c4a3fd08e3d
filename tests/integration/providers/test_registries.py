"""Images that the program pushes to a registry with an authority of its own and logins; a real one.

A Pulumi program of the test's own makes the component that the stack's program makes.
"""

import json
import os
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from lab.config import ROOT
from lab.podman import podman
from lab.toolchain.releases import COSIGN
from tests.certificates import certificate
from tests.integration.providers.conftest import Project
from tests.integration.providers.test_signatures import pair
from tests.integration.registry import PrivateRegistry, private_registry

PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import json
    import pulumi
    from pathlib import Path
    from components import images
    from components.config import sections
    images.ROOT = Path({folder!r})
    section = sections.Images.model_validate(json.loads(Path({section!r}).read_text()))
    built = images.Images("images", images.ImagesArgs(images=[images.Image(name="small")], section=section, models=[]))
    pulumi.export("image", built.refs["small"])
"""
WORD = f"test-{uuid.uuid4().hex}"
WRITER = {"username": "writer", "password": "p\"ss\\wörd '"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[PrivateRegistry]:
    with private_registry(tmp_path / "registry") as made:
        yield made
        named = (f"reference={made.host}/video/*/*", f"label=argus.dev/rebuild={WORD}")
        found = {each for name in named for each in podman("images", "--quiet", "--filter", name).split()}
        if found:
            podman("rmi", "--force", *found)


class Site:
    """A stack with one image, which is built here."""

    def __init__(self, project: Project, registry: PrivateRegistry) -> None:
        self._project = project
        self._source = project.folder / "containers/small"
        self._source.mkdir(parents=True)
        (self._source / "Dockerfile").write_text("ARG BASE\nFROM scratch\nCOPY containers/small/text /\n")
        self.edit("first")
        self._section = project.folder / "section.json"
        project.program(PROGRAM.format(root=str(ROOT), folder=str(project.folder), section=str(self._section)))
        (project.folder / "components").symlink_to(ROOT / "components")
        self.section: dict[str, Any] = {
            "registry": f"{registry.host}/video",
            "requireDigests": True,
            "base": f"debian@sha256:{'0' * 64}",
        }

    def edit(self, text: str) -> None:
        (self._source / "text").write_text(text)

    def up(self, ok: bool = True) -> str:
        """What `pulumi up` prints, in which there is no password."""
        self._section.write_text(json.dumps(self.section))
        text = self._project.up(ok=ok).text
        assert WRITER["password"] not in text
        return text

    @property
    def image(self) -> str:
        return str(self._project.outputs()["image"])

    @property
    def state(self) -> str:
        return self._project.pulumi("stack", "export").text


@pytest.fixture
def site(project: Project, registry: PrivateRegistry) -> Site:
    return Site(project, registry)


def test_an_image_is_pushed_by_login_and_authority_and_not_otherwise(
    site: Site, registry: PrivateRegistry, tmp_path: Path
) -> None:
    registry.let_in({WRITER["username"]: WRITER["password"]})
    # Nothing said of it: podman does not know the authority.
    assert "certificate signed by unknown authority" in site.up(ok=False)
    site.section["registries"] = registry.stack()
    assert "authentication required" in site.up(ok=False)
    site.section["registries"] = registry.stack(push={**WRITER, "password": "wrong"})
    said = site.up(ok=False)
    assert f'refuses the login of argus:images.registries["{registry.host}"]' in said
    assert "building" not in said
    other = (certificate(tmp_path / "other", "another") / "tls.crt").read_text()
    site.section["registries"] = {registry.host: {"push": WRITER, "ca": other}}
    assert "another authority than" in site.up(ok=False)

    site.section["registries"] = registry.stack(pull={"username": "reader", "password": "no"}, push=WRITER)
    assert "pushing" in site.up()
    assert site.image.startswith(f"{registry.host}/video/argus/small:")
    assert WRITER["password"] not in json.dumps(json.loads(site.state), ensure_ascii=False)


def test_another_password_builds_nothing_and_what_is_there_is_found(site: Site, registry: PrivateRegistry) -> None:
    registry.let_in({WRITER["username"]: WRITER["password"]})
    site.section["registries"] = registry.stack(push=WRITER)
    site.up()
    image = site.image
    registry.let_in({"another": "password"})
    site.section["registries"] = registry.stack(push={"username": "another", "password": "password"})
    said = site.up()
    assert "building" not in said
    assert site.image == image
    # Another word builds it anew under another tag.
    site.section["rebuild"] = WORD
    site.section["base"] = image
    assert "building" in site.up()
    assert site.image.partition("@")[0] != image.partition("@")[0]


@cache
def cosign() -> Path:
    return toolchain.ensure(COSIGN).program("cosign")


@pytest.mark.full
def test_an_image_is_signed_and_verified_by_login_and_authority(
    project: Project, site: Site, registry: PrivateRegistry, tmp_path: Path
) -> None:
    registry.let_in({WRITER["username"]: WRITER["password"]})
    keys = pair(tmp_path / "keys", "own")
    project.environment["PATH"] = os.pathsep.join([str(cosign().parent), project.environment["PATH"]])
    site.section |= {
        "registries": registry.stack(push=WRITER),
        "signing": keys.section,
        "signers": [{"images": "*", "keys": [keys.public]}],
    }
    assert "signing" in site.up()
    image = site.image
    # Who has no key that signs finds it signed, with the login for reading.
    site.section.pop("signing")
    site.section["registries"] = registry.stack(pull=WRITER)
    site.up()
    assert site.image == image
