"""Images: the tag is a hash of the content, overrides are used unchanged."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.config import sections
from components.images import SCRIPT, Images, ImagesArgs, Staged, content_tag
from components.pipeline.stages import STAGES, images

IMAGES = images(STAGES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/main.py").write_text("print(1)\n")
    return tmp_path / "app"


def tag(folder: Path) -> str:
    return content_tag([Staged(source=folder, target="apps/app")])


def test_the_tag_changes_with_content_place_and_mode_only(folder: Path) -> None:
    before = tag(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/main.pyc").write_bytes(b"x")
    (folder / "main.py").touch()
    assert tag(folder) == before
    (folder / "main.py").chmod(0o755)
    executable = tag(folder)
    (folder / "main.py").write_text("print(2)\n")
    edited = tag(folder)
    (folder / "main.py").rename(folder / "other.py")
    assert len({before, executable, edited, tag(folder)}) == 4


def test_what_is_hidden_beside_a_users_code_stays_here(folder: Path) -> None:
    (folder / ".venv/lib").mkdir(parents=True)
    (folder / ".venv/lib/some.py").touch()
    (folder / ".gitignore").touch()
    files = [target for target, _ in Staged(source=folder, target="code/view").files()]
    assert files == ["code/view/main.py"]


def images_of(models: list[sections.Model] | None = None, **section: Any) -> dict[str, Any]:
    every = list(IMAGES.values())
    return dict(
        Images("images", ImagesArgs(images=every, section=sections.Images(**section), models=models or [])).refs
    )


def test_overridden_images_are_not_built(pulumi_mocks: Any) -> None:
    refs = pulumi_mocks.run(lambda: images_of(overrides={image: f"example.org/{image}:1" for image in IMAGES}))
    assert refs["kafka"] == "example.org/kafka:1"
    assert not pulumi_mocks.of_type("command:local:Command")


def test_without_a_registry_every_image_needs_an_override(pulumi_mocks: Any) -> None:
    with pytest.raises(Exception, match="set one of them"):
        pulumi_mocks.run(images_of)


def test_a_built_image_is_named_by_registry_and_tag(pulumi_mocks: Any, tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    pt = tmp_path / "best.pt"
    pt.touch()
    others = {image: "x" for image in IMAGES if image != "spark"}
    models = [
        sections.Model.model_validate({"name": name, "kind": "objects", "weights": place})
        for name, place in (("mine", tmp_path), ("other", pt))
    ]
    refs = pulumi_mocks.run(lambda: images_of(models, registry="10.77.0.1:5000", insecure=True, overrides=others))
    command = pulumi_mocks.named("images-spark")
    assert command.inputs["environment"]["ARGUS_IMAGE"] == refs["spark"]
    assert refs["spark"].startswith("10.77.0.1:5000/argus/spark:")
    assert "\tweights/mine/model.xml" in command.inputs["stdin"]
    assert "\tweights/other/best.pt" in command.inputs["stdin"]
    assert "apps/spark_jobs/weights/" not in {line.split("\t")[1] for line in command.inputs["stdin"].splitlines()}


@pytest.mark.parametrize(("has", "lacks"), [((), "curl"), (("curl",), "podman")])
def test_a_computer_without_a_program_is_told_which(tmp_path: Path, has: tuple[str, ...], lacks: str) -> None:
    for name in has:
        (tmp_path / name).write_text("#!/bin/sh\nexit 22\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": str(tmp_path), "ARGUS_IMAGE": "registry:5000/argus/ui:1", "ARGUS_DOCKERFILE": "Dockerfile"}
    ended = subprocess.run(
        ["/bin/bash", SCRIPT],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"registry:5000/argus/ui:1: install {lacks}")
