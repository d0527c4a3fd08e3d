"""The whole program under mocks, as each committed stack file makes it: what `pulumi preview` would ask for."""

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components.images import IMAGES
from tests.unit.components.published_schema import mistakes_of

ROOT = Path(__file__).parents[3]
STACKS = sorted(path.name for path in ROOT.glob("Pulumi.*.yaml"))
REMOTE_COMMAND, LOCAL_COMMAND = "command:remote:Command", "command:local:Command"
Program = Callable[[str], Any]


@pytest.fixture
def program(pulumi_mocks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Runs `__main__` in preview with a stack file; the key that the file names lies in a home of the test's own."""

    def run(stack: str) -> Any:
        config = yaml.safe_load((ROOT / stack).read_text())["config"]
        monkeypatch.setenv("HOME", str(tmp_path))
        key = Path(config["argus:ssh"]["privateKeyFile"]).expanduser()
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
        pulumi.runtime.set_all_config({name: json.dumps(value) for name, value in config.items()})
        pulumi_mocks.run(lambda: runpy.run_path(str(ROOT / "__main__.py")) and None, preview=True)
        return pulumi_mocks

    yield run
    pulumi.runtime.set_all_config({})


def test_the_stacks_are_the_lab_and_real_hosts() -> None:
    assert STACKS == ["Pulumi.dev.yaml", "Pulumi.prod.yaml"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_object_is_as_kubernetes_publishes_it(program: Program, stack: str) -> None:
    objects = [each.inputs for each in program(stack).resources if each.type.startswith("kubernetes:")]
    assert {item["kind"] for item in objects} >= {"StatefulSet", "Deployment", "Job", "CronJob", "Role", "APIService"}
    assert [text for item in objects for text in mistakes_of(item)] == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_name_is_unique_and_every_component_has_one_shape_of_type(program: Program, stack: str) -> None:
    resources = program(stack).resources
    names = [(each.type, each.name) for each in resources]
    assert len(names) == len(set(names))
    components = {each.type.rsplit(":", 1)[0] for each in resources if not each.custom}
    assert components == {"argus:cluster", "argus:pipeline"}


def test_real_hosts_run_the_official_images_that_their_stack_names(program: Program) -> None:
    resources = program("Pulumi.prod.yaml")
    overrides = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]["argus:images"]["overrides"]
    built = {each.name.removeprefix("images-") for each in resources.of_type(LOCAL_COMMAND) if "images-" in each.name}
    assert built == IMAGES.keys() - overrides.keys()
    sets = [each.inputs for each in resources.of_type("kubernetes:apps/v1:StatefulSet")]
    images = {each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["image"] for each in sets}
    for service in ("zookeeper", "kafka", "elasticsearch"):
        assert images[service] == overrides[service]


def test_real_hosts_take_nothing_from_the_lab(program: Program) -> None:
    hosts = {each.inputs["connection"]["host"] for each in program("Pulumi.prod.yaml").of_type(REMOTE_COMMAND)}
    assert hosts == {f"192.0.2.{number}" for number in (10, 11, 12, 13, 21, 22, 23)}
