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


def tag(folder: Path, base: str = "debian:trixie-slim") -> str:
    return content_tag([Staged(source=folder, target="apps/app")], base)


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
    assert len({before, executable, edited, tag(folder), tag(folder, f"debian@sha256:{'0' * 64}")}) == 5


def test_what_is_hidden_beside_a_users_code_stays_here(folder: Path) -> None:
    (folder / ".venv/lib").mkdir(parents=True)
    (folder / ".venv/lib/some.py").touch()
    (folder / ".gitignore").touch()
    files = [target for target, _ in Staged(source=folder, target="code/view").files()]
    assert files == ["code/view/main.py"]


def test_the_tests_of_a_go_program_are_not_in_its_image(folder: Path) -> None:
    (folder / "main_test.go").touch()
    for target, sent in (("containers/some", ["main.py"]), ("code/view", ["main.py", "main_test.go"])):
        files = [each for each, _ in Staged(source=folder, target=target).files()]
        assert files == [f"{target}/{name}" for name in sent]


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


DIGEST = f"sha256:{'a' * 64}"


def test_images_are_used_by_digest_where_the_stack_says_so(pulumi_mocks: Any) -> None:
    pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": f"{DIGEST}\n"}
    overrides = {image: f"example.org/{image}:1" for image in IMAGES if image != "ui"}
    section = {"registry": "r", "overrides": overrides, "digests": {"example.org/kafka:1": DIGEST}}
    refs = pulumi_mocks.run(lambda: images_of(requireDigests=True, base=f"debian@{DIGEST}", **section))
    assert refs["kafka"] == f"example.org/kafka:1@{DIGEST}"
    assert refs["ui"].startswith("r/argus/ui:") and refs["ui"].endswith(f"@{DIGEST}")
    environment = pulumi_mocks.named("images-ui").inputs["environment"]
    assert environment["ARGUS_BASE"] == f"debian@{DIGEST}"
    assert environment["ARGUS_PRINT_DIGEST"] == "1"


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the build on a computer whose programs are in a folder."""
    named = {
        "ARGUS_IMAGE": "registry:5000/argus/ui:1",
        "ARGUS_DOCKERFILE": "Dockerfile",
        "ARGUS_BASE": "debian:1",
        "ARGUS_PLATFORM": "linux/amd64",
    }
    return subprocess.run(
        ["/bin/bash", SCRIPT],
        env={"PATH": str(folder), "TMPDIR": str(folder), **named, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(("asked", "printed"), [("", ""), ("1", f"{DIGEST}\n")])
def test_an_image_that_the_registry_has_is_not_built_and_its_digest_is_printed(
    tmp_path: Path, asked: str, printed: str
) -> None:
    program(tmp_path, "curl", f"printf 'HTTP/1.1 200 OK\\r\\nDocker-Content-Digest: {DIGEST}\\r\\n'")
    path = f"{tmp_path}:/usr/bin:/bin"
    done = build(tmp_path, PATH=path, ARGUS_PRINT_DIGEST=asked)
    assert (done.returncode, done.stdout) == (0, printed)


def test_a_registry_that_says_no_digest_is_named(tmp_path: Path) -> None:
    program(tmp_path, "curl", "printf 'HTTP/1.1 200 OK\\r\\n'")
    done = build(tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin", ARGUS_PRINT_DIGEST="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "images.requireDigests" in done.stderr


def test_a_built_image_stands_on_the_base_and_its_pushed_digest_is_printed(tmp_path: Path) -> None:
    program(tmp_path, "curl", "exit 22")
    said = tmp_path / "said"
    program(
        tmp_path,
        "podman",
        f'echo "$*" >>{said}\nwhile (($#)); do [[ $1 != --digestfile ]] || printf {DIGEST} >"$2"; shift; done',
    )
    done = build(tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin", ARGUS_PRINT_DIGEST="1")
    assert (done.returncode, done.stdout) == (0, f"{DIGEST}\n"), done.stderr
    built, pushed = said.read_text().splitlines()
    assert "--build-arg BASE=debian:1" in built
    assert pushed.endswith("registry:5000/argus/ui:1")


@pytest.mark.parametrize(("has", "lacks"), [((), "curl"), (("curl",), "podman")])
def test_a_computer_without_a_program_is_told_which(tmp_path: Path, has: tuple[str, ...], lacks: str) -> None:
    for name in has:
        (tmp_path / name).write_text("#!/bin/sh\nexit 22\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    ended = build(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"registry:5000/argus/ui:1: install {lacks}")


@pytest.mark.parametrize("has", ["podman", "docker", ""])
def test_a_preview_warns_where_nothing_can_be_built(
    pulumi_mocks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has: str
) -> None:
    if has:
        program(tmp_path, has, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    warned: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda text, *_: warned.append(text))
    pulumi_mocks.run(lambda: images_of(registry="r.io"))
    assert [text.partition(":")[0] for text in warned] == (
        [] if has else ["neither podman nor docker is on this computer"]
    )
    pulumi_mocks.run(lambda: images_of(overrides={image: f"example.org/{image}:1" for image in IMAGES}))
    assert len(warned) == (not has)
