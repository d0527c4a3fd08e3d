"""The whole program under mocks: the resources of a `pulumi preview` of each shipped stack, and of the tests' own."""

import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from components import engine
from components.config import ConfigError
from components.pipeline import stages
from tests.unit.components.answers import unpacked
from tests.unit.components.conftest import ROOT, Program
from tests.unit.components.published_schema import mistakes_of
from tests.unit.stacks import HOSTS, LAB, configuration

SHIPPED = ("Pulumi.dev.yaml", "Pulumi.prod.yaml")
"""The lab's, and a sample for real hosts. A site's own stands beside them."""
PROD = ROOT / "Pulumi.prod.yaml"
REMOTE_COMMAND, LOCAL_COMMAND = "command:remote:Command", "command:local:Command"


@pytest.mark.parametrize("stack", SHIPPED)
def test_every_object_is_as_kubernetes_publishes_it(program: Program, stack: str) -> None:
    objects = [each.inputs for each in program(ROOT / stack).resources if each.type.startswith("kubernetes:")]
    assert {item["kind"] for item in objects} >= {"StatefulSet", "Deployment", "Job", "CronJob", "Role", "APIService"}
    assert [text for item in objects for text in mistakes_of(item)] == []


@pytest.mark.parametrize("stack", SHIPPED)
def test_every_name_is_unique_and_every_component_has_one_shape_of_type(program: Program, stack: str) -> None:
    resources = program(ROOT / stack).resources
    names = [(each.type, each.name) for each in resources]
    assert len(names) == len(set(names))
    components = {each.type.rsplit(":", 1)[0] for each in resources if not each.custom}
    # Autoscalers exist only if a number may change.
    assert {"argus:cluster", "argus:pipeline"} <= components <= {"argus:cluster", "argus:pipeline", "argus:autoscaling"}


@pytest.mark.parametrize("stack", SHIPPED)
def test_the_cluster_has_an_identifier_that_no_configuration_changes(program: Program, stack: str) -> None:
    providers = program(ROOT / stack).of_type("pulumi:providers:kubernetes")
    # Another one would replace every object.
    assert {each.name: each.inputs["clusterIdentifier"] for each in providers} == {
        "cluster-provider": "argus",
        "cluster": "argus",
    }


def test_real_hosts_run_the_official_images_that_their_stack_names(program: Program) -> None:
    resources = program(PROD)
    overrides = configuration(PROD)["argus:images"]["overrides"]
    built = {each.name.removeprefix("images-") for each in resources.of_type(LOCAL_COMMAND) if "images-" in each.name}
    # It names no ACME server.
    assert built == stages.every_image(stages.STAGES).keys() - overrides.keys() - {"acme"}
    sets = [each.inputs for each in resources.of_type("kubernetes:apps/v1:StatefulSet")]
    images = {each["metadata"]["name"]: each["spec"]["template"]["spec"]["containers"][0]["image"] for each in sets}
    for service in ("zookeeper", "kafka", "elasticsearch"):
        assert images[service] == overrides[service]


def test_real_hosts_take_nothing_from_the_lab(program: Program) -> None:
    hosts = {each.inputs["connection"]["host"] for each in program(PROD).of_type(REMOTE_COMMAND)}
    machines = configuration(PROD)["argus:machines"].values()
    assert hosts == {each["address"] for kind in machines for each in kind}
    # Addresses that no network has (RFC 5737), so no machine of the lab or of anybody.
    assert all(IPv4Address(each) in IPv4Network("192.0.2.0/24") for each in hosts)


def test_machines_that_were_checked_before_are_not_checked_again(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor after an update from a version that called this output `looks`."""

    def checks(outputs: dict[str, Any]) -> dict[str, str]:
        async def read(stack: str) -> dict[str, Any]:
            return outputs

        monkeypatch.setattr(engine, "read_stack_outputs", read)
        resources = program(LAB, anew=True)
        commands = [each.inputs for each in resources.of_type(REMOTE_COMMAND) if "-preflight-" in each.name]
        resources.resources.clear()
        return {each["connection"]["host"]: each["stdin"] for each in commands}

    earlier = {address: f"1 {check.partition(' ')[2]}" for address, check in checks({}).items()}
    for output in ("checks", "looks"):
        assert checks({output: earlier}) == earlier


def test_a_storage_class_of_the_users_own_takes_the_place_of_every_local_volume(program: Program) -> None:
    resources = program(HOSTS, {"storage": {"className": "fast"}})
    for kind in ("core/v1:PersistentVolume", "storage.k8s.io/v1:StorageClass"):
        assert resources.of_type(f"kubernetes:{kind}") == []
    assert resources.of_type("argus:cluster:LocalStorage") == []
    assert not [each.name for each in resources.of_type(REMOTE_COMMAND) if each.name.endswith("-folders")]
    sets = [each.inputs for each in resources.of_type("kubernetes:apps/v1:StatefulSet")]
    claims = {each["metadata"]["name"]: each["spec"]["volumeClaimTemplates"] for each in sets}
    assert claims.keys() == {"zookeeper", "kafka", "elasticsearch", "consumer"}
    for service, (claim,) in claims.items():
        assert claim["spec"]["storageClassName"] == "fast", service
        assert "selector" not in claim["spec"], service
    assert "argus-local" not in json.dumps([each.inputs for each in resources.resources])


def test_without_one_every_claim_is_for_a_local_volume(program: Program) -> None:
    resources = program(HOSTS)
    made = {each.inputs["metadata"]["name"] for each in resources.of_type("kubernetes:core/v1:PersistentVolume")}
    services = {"zookeeper", "kafka", "elasticsearch", "consumer"}
    assert made == {f"worker-{number}-{service}" for number in (1, 2, 3) for service in services}
    sets = [each.inputs for each in resources.of_type("kubernetes:apps/v1:StatefulSet")]
    classes = {claim["spec"]["storageClassName"] for each in sets for claim in each["spec"]["volumeClaimTemplates"]}
    assert classes == {"argus-local"}


def test_a_manifest_takes_the_place_of_the_built_in_network(program: Program, tmp_path: Path) -> None:
    manifest = tmp_path / "calico.yaml"
    manifest.write_text("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: calico-node}\n")
    resources = program(HOSTS, {"cluster": {"network": {"manifest": str(manifest)}}})
    assert resources.named("cluster-network").type == "argus:cluster:NetworkManifest"
    assert resources.named("cluster-network-applied").inputs["stdin"] == manifest.read_text()
    assert not [each.name for each in resources.resources if each.type == "argus:cluster:Network"]
    (runtime, *_) = (each for each in resources.of_type(REMOTE_COMMAND) if each.name.endswith("runtime-configured"))
    assert "/opt/cni/bin" in unpacked(runtime.inputs["create"])


def test_a_manifest_that_is_not_there_is_refused_at_preview(program: Program, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"argus:cluster\.network\.manifest: .*/none\.yaml does not exist"):
        program(HOSTS, {"cluster": {"network": {"manifest": str(tmp_path / "none.yaml")}}})
