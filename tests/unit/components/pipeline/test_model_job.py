"""A model's driver: how an old one is replaced, and what only its own pod's template says."""

import json
from typing import Any

from tests.unit.components.pipeline.conftest import Build
from tests.unit.components.pipeline.test_pipeline import changed

DRIVER = "Deployment/model-objects"


def template(objects: Any, model: str = "objects") -> dict[str, Any]:
    found: dict[str, Any] = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]
    return found


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def test_values_reach_the_driver(build: Build) -> None:
    driver = template(build())
    (container,) = driver["spec"]["containers"]
    seen = variables(container)
    assert (seen["ARGUS_RESULTS_TOPIC"], seen["ARGUS_CONSUMER_GROUP"]) == ("results.objects", "spark.objects")
    assert seen["ARGUS_KAFKA_BOOTSTRAP_SERVERS"].startswith("kafka-0.kafka.argus.svc.cluster.local:9092,")
    properties = driver["metadata"]["annotations"]["argus.dev/spark.properties"]
    assert "spark.kubernetes.container.image spark:1\n" in properties


def test_the_old_driver_goes_on_until_the_new_one_is_ready(build: Build) -> None:
    spec = build()[DRIVER].inputs["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["progressDeadlineSeconds"] < 8 * 60, "the Deployment says why before Pulumi gives up"


def test_a_changed_model_changes_nothing_that_the_old_driver_reads(build: Build) -> None:
    before, after = build(), build(model={"scoreThreshold": 0.9})
    assert changed(before, after) == {DRIVER, "Deployment/model-motion"}
    spec = template(before)["spec"]
    assert "envFrom" not in spec["containers"][0]
    assert {tuple(set(volume) - {"name"}) for volume in spec["volumes"]} == {("downwardAPI",), ("emptyDir",)}


def test_the_files_of_the_driver_are_its_templates_annotations(build: Build) -> None:
    driver = template(build())
    (volume,) = (each for each in driver["spec"]["volumes"] if "downwardAPI" in each)
    items = {item["path"]: item["fieldRef"]["fieldPath"] for item in volume["downwardAPI"]["items"]}
    assert set(items) == {"spark.properties", "executor.yaml"}
    for path, field in items.items():
        assert field == f"metadata.annotations['argus.dev/{path}']"
        assert f"argus.dev/{path}" in driver["metadata"]["annotations"]


def test_kubernetes_takes_no_value_for_a_variable(build: Build) -> None:
    labels = ["$(HOME)", "100 $$"]
    (container,) = template(build(model={"labels": labels}))["spec"]["containers"]
    # As the kubelet reads it: $$ is a dollar, which begins nothing.
    assert json.loads(variables(container)["ARGUS_LABELS"].replace("$$", "$")) == labels
    assert "$$(HOME)" in variables(container)["ARGUS_LABELS"]


def test_a_driver_has_room_for_the_check_of_its_model(build: Build) -> None:
    limits = {}
    for executor in (1000, 4000):
        objects = build(model={"driverMemoryMiB": 900, "executorMemoryMiB": executor})
        (container,) = template(objects)["spec"]["containers"]
        limits[executor] = container["resources"]["limits"]["memory"]
    # A network that an executor can hold beside its heap is not refused for the driver's lack of memory.
    assert limits == {1000: "900Mi", 4000: "3744Mi"}


def test_what_a_driver_said_last_is_told_by_kubernetes(build: Build) -> None:
    (container,) = template(build())["spec"]["containers"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_driver_may_note_that_it_works_in_its_own_lease_only(build: Build) -> None:
    objects = build()
    assert "Lease/model-objects" in objects
    (rule,) = (rule for rule in objects["Role/model-objects"].inputs["rules"] if rule["resources"] == ["leases"])
    assert (rule["resourceNames"], rule["verbs"]) == (["model-objects"], ["get", "update"])
    seen = variables(template(objects)["spec"]["containers"][0])
    assert seen["ARGUS_DRIVER_LEASE"] == "model-objects"
    labels = template(objects)["metadata"]["labels"]
    assert dict(each.split("=") for each in seen["ARGUS_DRIVER_SELECTOR"].split(",")) == labels
