"""The whole program under mocks, as each committed stack file makes it: what `pulumi preview` would ask for."""

import pytest
import yaml

from components.images import IMAGES
from tests.unit.components.conftest import ROOT, Program
from tests.unit.components.published_schema import mistakes_of

STACKS = sorted(path.name for path in ROOT.glob("Pulumi.*.yaml"))
REMOTE_COMMAND, LOCAL_COMMAND = "command:remote:Command", "command:local:Command"


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
