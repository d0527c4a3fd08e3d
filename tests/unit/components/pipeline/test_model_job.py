"""A model's driver: how an old one is replaced, and settings that only its pod template has."""

import json
from pathlib import Path
from typing import Any

from components.config.sections import Model
from components.kubernetes import SECRETS_DIR
from components.pipeline.model_job import SECRET_FILE, environment_of, frames_per_task
from tests.unit.components.pipeline.conftest import (
    Build,
    config_map_of_environment,
    config_map_of_files,
    environment_of_driver,
    files_of_driver,
)

DRIVER = "Deployment/model-objects"


def template(objects: Any, model: str = "objects") -> dict[str, Any]:
    found: dict[str, Any] = objects[f"Deployment/model-{model}"].inputs["spec"]["template"]
    return found


def test_values_reach_the_driver(build: Build) -> None:
    objects = build()
    seen = environment_of_driver(objects)
    assert (seen["ARGUS_RESULTS_TOPIC"], seen["ARGUS_CONSUMER_GROUP"]) == ("results.objects", "spark.objects")
    assert seen["ARGUS_KAFKA_BOOTSTRAP_SERVERS"].startswith("kafka-0.kafka.argus.svc.cluster.local:9093,")
    assert "spark.kubernetes.container.image spark:1\n" in files_of_driver(objects)["spark.properties"]


def test_the_old_driver_goes_on_until_the_new_one_is_ready(build: Build) -> None:
    spec = build()[DRIVER].inputs["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["progressDeadlineSeconds"] < 8 * 60, "the Deployment says why before Pulumi gives up"


def test_a_changed_model_changes_nothing_that_the_old_driver_reads(build: Build) -> None:
    before, after = build(), build(model={"scoreThreshold": 0.9})
    read = {config_map_of_environment(before), config_map_of_files(before)}
    assert config_map_of_environment(after) not in read
    # The files do not contain thresholds, so they are unchanged.
    assert config_map_of_files(after) in read
    for name in read:
        assert before[f"ConfigMap/{name}"].inputs["immutable"] is True


def test_a_driver_has_room_for_the_check_of_its_model(build: Build) -> None:
    limits = {}
    for executor in (1000, 4000):
        objects = build(model={"driverMemoryMiB": 900, "executorMemoryMiB": executor})
        (container,) = template(objects)["spec"]["containers"]
        limits[executor] = container["resources"]["limits"]["memory"]
    # A network that fits into an executor beside its heap must also fit into the driver.
    assert limits == {1000: "900Mi", 4000: "3744Mi"}


def test_what_a_driver_said_last_is_told_by_kubernetes(build: Build) -> None:
    (container,) = template(build())["spec"]["containers"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_driver_may_note_that_it_works_in_its_own_lease_only(build: Build) -> None:
    objects = build()
    assert "Lease/model-objects" in objects
    (rule,) = (rule for rule in objects["Role/model-objects"].inputs["rules"] if rule["resources"] == ["leases"])
    assert (rule["resourceNames"], rule["verbs"]) == (["model-objects"], ["get", "update"])
    seen = environment_of_driver(objects)
    assert seen["ARGUS_DRIVER_LEASE"] == "model-objects"
    labels = template(objects)["metadata"]["labels"]
    assert dict(each.split("=") for each in seen["ARGUS_DRIVER_SELECTOR"].split(",")) == labels


def model(**keys: object) -> Model:
    return Model.model_validate({"name": "view", **keys})


def test_the_code_s_place_and_limits_reach_the_driver() -> None:
    variables = environment_of([model(kind="python", code=Path("/x"), callSeconds=5, callMemoryMiB=256)])
    assert variables["ARGUS_CODE"] == "/opt/argus/code/view"
    assert (variables["ARGUS_CALL_SECONDS"], variables["ARGUS_CALL_MEMORY_MIB"]) == ("5.0", "256")


def test_objects_are_gated_unless_the_stack_says_otherwise() -> None:
    assert environment_of([model(kind="objects")])["ARGUS_GATE_SECONDS"] == "5.0"
    assert environment_of([model(kind="objects", gate={"seconds": 2})])["ARGUS_GATE_SECONDS"] == "2.0"
    assert "ARGUS_GATE_SECONDS" not in environment_of([model(kind="objects", gate={"enabled": False})])
    assert "ARGUS_GATE_SECONDS" not in environment_of([model(kind="motion")])
    assert "ARGUS_GATE_SECONDS" not in environment_of([model(kind="python", code=Path("/x"))])
    gated = model(kind="python", code=Path("/x"), gate={"enabled": True})
    assert environment_of([gated])["ARGUS_GATE_SECONDS"] == "5.0"


def test_frames_are_thinned_only_where_the_stack_says_so() -> None:
    assert "ARGUS_OVERLOAD_SECONDS" not in environment_of([model(kind="objects")])
    thinned = environment_of([model(kind="objects", overload={"policy": "thin"})])
    assert thinned["ARGUS_OVERLOAD_SECONDS"] == "20.0"


def test_a_camera_s_gate_is_a_matter_of_the_gated_models_alone(build: Build) -> None:
    cameras = [{"name": "door", "url": "synthetic://street"}, {"name": "yard", "url": "synthetic://street"}]
    before, after = (build(cameras=[{**cameras[0], **keys}, cameras[1]]) for keys in ({}, {"gated": False}))
    assert environment_of_driver(after)["ARGUS_UNGATED_CAMERAS"] == '["door"]'
    assert "ARGUS_UNGATED_CAMERAS" not in environment_of_driver(before)
    changed = before.keys() ^ after.keys()
    changed |= {name for name in before.keys() & after.keys() if before[name].inputs != after[name].inputs}
    assert changed
    assert all("model-objects" in name for name in changed), "no producer restarts, and no other model"


def test_a_batch_ends_before_the_driver_counts_as_stalled_however_slow_the_code_may_be() -> None:
    for seconds in (0.1, 1, 10, 450, 600):
        for count in (1, 2):
            slow = [model(kind="python", code=Path("/x"), callSeconds=seconds)] * count
            batch = frames_per_task(slow) * seconds * count
            assert seconds <= batch <= max(400, seconds * count)
            assert batch + 200 <= float(environment_of(slow)["ARGUS_STALL_SECONDS"])
    other = [model(kind="motion")]
    assert frames_per_task(other) > 400
    assert environment_of(other)["ARGUS_STALL_SECONDS"] == "600", "a call of a user's code has no part in it"


SHARED: list[dict[str, Any]] = [
    {"name": "motion", "kind": "motion", "application": "objects", "scoreThreshold": 0.5},
    {"name": "objects", "kind": "objects", "executors": {"maximum": 2}, "labels": ["person"]},
    {"name": "faces", "kind": "objects", "weights": "scenes", "scoreThresholds": {"person": 0.7}},
]


def test_models_that_share_an_application_have_one_driver_named_after_the_first(build: Build) -> None:
    objects = build(models=SHARED)
    drivers = {key for key in objects if key.startswith("Deployment/model-")}
    assert drivers == {"Deployment/model-objects", "Deployment/model-faces"}
    assert not [key for key in objects if "model-motion" in key]
    alone = build(models=[{**SHARED[1]}, SHARED[2]])
    # Apart from the environment, whose name has a hash, the driver is that of the first model alone.
    assert files_of_driver(objects) == files_of_driver(alone)
    assert environment_of_driver(objects, "faces") == environment_of_driver(alone, "faces")
    seen, before = environment_of_driver(objects), environment_of_driver(alone)
    assert seen.keys() - before.keys() == {"ARGUS_FURTHER_MODELS"}
    assert {name: seen[name] for name in before} == before


def test_every_model_of_an_application_has_its_own_topic_group_and_settings(build: Build) -> None:
    (further,) = json.loads(environment_of_driver(build(models=SHARED))["ARGUS_FURTHER_MODELS"])
    assert (further["results_topic"], further["consumer_group"]) == ("results.motion", "spark.motion")
    assert (further["model_kind"], further["score_threshold"], further["code"]) == (
        "motion",
        0.5,
        "/opt/argus/code/motion",
    )


def test_a_camera_is_ungated_where_any_model_of_the_application_has_a_gate(build: Build) -> None:
    first = {"name": "motion", "kind": "motion"}
    cameras = [{"name": "door", "url": "synthetic://street", "gated": False}]
    for second, told in (({"kind": "objects"}, '["door"]'), ({"kind": "objects", "gate": {"enabled": False}}, None)):
        objects = build(cameras=cameras, models=[first, {"name": "faces", "application": "motion", **second}])
        seen = environment_of_driver(objects, "motion")
        assert seen.get("ARGUS_UNGATED_CAMERAS") == told
        assert "ARGUS_GATE_SECONDS" not in seen, "the first model has no gate"
        (further,) = json.loads(seen["ARGUS_FURTHER_MODELS"])
        assert further.get("gate_seconds") == (5.0 if told else None)


def test_topics_do_not_depend_on_the_application(build: Build) -> None:
    apart = [{key: value for key, value in each.items() if key != "application"} for each in SHARED]
    shared, own = (
        [each.inputs["data"]["topics"] for each in build(models=models).values() if each.name == "topics-config"]
        for models in (SHARED, apart)
    )
    assert shared == own
    assert "results.motion" in json.dumps(shared)


def properties_of(objects: Any, model: str = "objects") -> dict[str, str]:
    lines = files_of_driver(objects, model)["spark.properties"].splitlines()
    return dict(line.split(" ", 1) for line in lines)


def secret_of(objects: Any, model: str = "objects") -> str:
    """The name of the Secret that the model's driver mounts."""
    (name,) = (
        volume["secret"]["secretName"] for volume in template(objects, model)["spec"]["volumes"] if "secret" in volume
    )
    return str(name)


def test_whoever_connects_to_spark_shows_the_secret_and_is_encrypted(build: Build) -> None:
    for model in ("objects", "motion"):
        seen = properties_of(build(), model)
        assert seen["spark.authenticate"] == seen["spark.network.crypto.enabled"] == "true"
        assert seen["spark.network.crypto.saslFallback"] == "false", "else a client chooses the weaker handshake"
        assert seen["spark.network.crypto.cipher"] == "AES/GCM/NoPadding", "the default does not notice changes"
        assert seen["spark.network.crypto.authEngineVersion"] == "2"
        assert seen["spark.authenticate.secret.file"] == SECRET_FILE


def test_nothing_listens_but_spark_s_two_ports_probes_and_metrics(build: Build) -> None:
    seen = properties_of(build())
    assert seen["spark.ui.enabled"] == "false"
    (container,) = template(build())["spec"]["containers"]
    declared = {port["containerPort"] for port in container["ports"]}
    assert declared == {int(seen["spark.driver.port"]), int(seen["spark.driver.blockManager.port"]), 8080, 8082}
    assert [port["port"] for port in build()["Service/model-objects"].inputs["spec"]["ports"]] == [8080, 7078, 7079]


def test_driver_and_executors_mount_one_secret_at_one_place(words: None, build: Build) -> None:
    objects = build(kafka={})
    names = {model: secret_of(objects, model) for model in ("objects", "motion")}
    assert names["objects"] != names["motion"], "an application's executor is no executor of another"
    for model, name in names.items():
        made = objects[f"Secret/{name}"]
        assert made.inputs["stringData"]["rpc"] == f"drawn-model-{model}-secret-"
        assert made.inputs["immutable"] is True and "stringData" in made.secret_inputs
        executor = json.loads(files_of_driver(objects, model)["executor.yaml"])["spec"]
        assert {"name": "secrets", "secret": {"secretName": name, "defaultMode": 0o440}} in executor["volumes"]
        for spec in (executor, template(objects, model)["spec"]):
            (container,) = spec["containers"]
            assert {"name": "secrets", "mountPath": SECRETS_DIR, "readOnly": True} in container["volumeMounts"]
            assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsUser"], "else it is unreadable"
        holders = [key for key, each in objects.items() if f"drawn-model-{model}" in json.dumps(each.inputs)]
        assert holders == [f"Secret/{name}"], "in no environment, property or ConfigMap"


def test_another_word_changes_the_secret_without_touching_what_the_old_driver_reads(words: None, build: Build) -> None:
    before, after = build(kafka={}), build(podSecrets={"redraw": "monday"})
    old, new = secret_of(before), secret_of(after)
    assert old != new and f"Secret/{old}" not in after, (
        "the old one is another object, which goes once the update is done"
    )
    assert config_map_of_files(before) != config_map_of_files(after), (
        "so the old driver's executors keep the old secret"
    )
    assert config_map_of_environment(before) == config_map_of_environment(after)
    assert (
        before["ValidatingAdmissionPolicy/argus-drivers"].inputs
        == after["ValidatingAdmissionPolicy/argus-drivers"].inputs
    )


def test_the_secret_s_name_is_no_secret(words: None, build: Build) -> None:
    """It is in the pods, whose changes Pulumi shows."""
    objects = build(kafka={})
    assert objects[DRIVER].secret_inputs == frozenset()
    assert objects[f"ConfigMap/{config_map_of_files(objects)}"].secret_inputs == frozenset()


def test_no_job_takes_along_what_is_never_changed(build: Build) -> None:
    """A job is deleted before it is made anew. Pulumi would make what depends on it anew too, which is still there."""
    objects = build().values()
    jobs = {each.urn for each in objects if each.type == "kubernetes:batch/v1:Job"}
    lasting = [each for each in objects if each.inputs.get("immutable")]
    assert jobs and lasting
    assert {each.name for each in lasting if jobs & frozenset().union(*each.sources.values())} == set()
    (driver,) = (each for each in objects if each.name == "model-objects-driver")
    assert jobs & driver.sources["spec"], "the driver waits for the topics"
