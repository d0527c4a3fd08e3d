"""The pipeline's manifests: what every pod must have, and what a change affects."""

import json
from typing import Any

import pytest

from tests.unit.components.pipeline.conftest import CAMERAS, Build

NODES = 5
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
STATEFUL = {"zookeeper": 3, "kafka": 3, "elasticsearch": 3, "consumer": 2}


def templates(objects: Any) -> dict[str, Any]:
    found = {}
    for key, each in objects.items():
        spec = each.inputs.get("spec") or {}
        if "jobTemplate" in spec:
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            found[key] = spec["template"]
    return found


def variables(objects: Any, name: str) -> dict[str, str]:
    data: dict[str, str] = objects[f"ConfigMap/{name}"].inputs["data"]
    return data


def test_every_component_is_parent_of_its_objects(build: Build) -> None:
    objects = build()
    assert all(each.parent is not None for each in objects.values())
    assert objects["StatefulSet/kafka"].parent == "kafka"
    assert objects["Deployment/model-objects"].parent == "model-objects"


def test_containers_are_unprivileged_with_limits(build: Build) -> None:
    for key, template in templates(build()).items():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, key
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, key
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, key
            assert security["capabilities"] == {"drop": ["ALL"]}, key
            assert container["resources"]["limits"]["memory"], key
            assert "cpu" not in container["resources"]["limits"], key


def test_services_are_probed_cheaply(build: Build) -> None:
    for key, template in templates(build()).items():
        if key.startswith(("Job/", "CronJob/", "DaemonSet/")):
            continue
        for container in template["spec"]["containers"]:
            probes = {probe: container[probe] for probe in PROBES if probe in container}
            # A node of Elasticsearch, or Filebeat, is ready if it answers by what is beside it, which so needs no
            # readiness of its own.
            without = {"readinessProbe"} if container["name"] in ("proxy", "peers", "metrics") else set()
            assert probes.keys() == set(PROBES) - without, key
            for probe in probes.values():
                assert "exec" not in probe, key
                assert {"httpGet", "tcpSocket"} & set(probe), key


def test_cpu_requests_leave_room_on_two_cores(build: Build) -> None:
    objects = build()
    total = 0
    for key, template in templates(objects).items():
        if key.startswith(("Job/", "CronJob/")):
            continue
        pods = objects[key].inputs["spec"].get("replicas", NODES)
        total += pods * sum(int(c["resources"]["requests"]["cpu"][:-1]) for c in template["spec"]["containers"])
    executors = 2 * 200
    assert total + executors < 1250, "with both autoscalers"


@pytest.mark.parametrize(("service", "replicas"), STATEFUL.items())
def test_stateful_services_are_spread_and_keep_their_data(build: Build, service: str, replicas: int) -> None:
    objects = build()
    spec = objects[f"StatefulSet/{service}"].inputs["spec"]
    assert spec["replicas"] == replicas
    (term,) = spec["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"] == spec["selector"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "argus-local"
    assert claim["spec"]["selector"] == {"matchLabels": {"argus.dev/volume": service}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Retain"}
    assert objects[f"PodDisruptionBudget/{service}"].inputs["spec"]["maxUnavailable"] == 1


def test_a_storage_class_of_the_users_own_has_no_selector(build: Build) -> None:
    spec = build(storage={"className": "fast"})["StatefulSet/kafka"].inputs["spec"]
    claim = spec["volumeClaimTemplates"][0]["spec"]
    assert claim["storageClassName"] == "fast"
    assert "selector" not in claim


def changed(before: Any, after: Any) -> set[str]:
    assert set(before) == set(after)
    return {key for key in before if before[key].inputs != after[key].inputs}


def test_one_cameras_url_touches_only_its_producer(build: Build) -> None:
    moved = build(cameras=[{**CAMERAS[0], "url": "rtsp://10.0.0.9/stream"}, *CAMERAS[1:]])
    touched = changed(build(), moved)
    (deployment,) = (key for key in touched if key.startswith("Deployment/"))
    producer = deployment.removeprefix("Deployment/")
    # The policy changes too, because no other camera uses RTSP's port.
    assert touched == {deployment, f"ConfigMap/{producer}-cameras", "NetworkPolicy/producer"}
    elsewhere = build(cameras=[{**CAMERAS[0], "url": "rtsp://10.0.0.10/stream"}, *CAMERAS[1:]])
    assert changed(moved, elsewhere) == touched - {"NetworkPolicy/producer"}


def test_a_stages_setting_rolls_only_its_own_pods(build: Build) -> None:
    assert changed(build(), build(kafka={"heapMiB": 400})) == {"StatefulSet/kafka"}
    touched = changed(build(), build(elasticsearch={"volumeGiB": 9}))
    assert touched == {"ConfigMap/elasticsearch", "StatefulSet/elasticsearch"}


def test_the_limit_of_a_record_rolls_those_who_must_agree_on_it(build: Build) -> None:
    before, after = build(), build(kafka={"maxMessageBytes": 3_000_000})
    touched = {key for key in before.keys() & after.keys() if before[key].inputs != after[key].inputs}
    producers = [f"producer-{n}" for n in range(4)]
    assert touched == {
        "ConfigMap/kafka",
        "StatefulSet/kafka",
        *(f"ConfigMap/{each}-environment" for each in producers),
        *(f"Deployment/{each}" for each in producers),
        *(f"Deployment/model-{model}" for model in ("objects", "motion")),
    }
    # The others are named by their content.
    others = {key.rpartition("-")[0] for key in before.keys() ^ after.keys()}
    models = {f"ConfigMap/model-{model}-environment" for model in ("objects", "motion")}
    assert others == {"ConfigMap/topics", "Job/topics", *models}


def test_two_runs_declare_the_same(build: Build) -> None:
    assert changed(build(), build(consumer={})) == set()


def test_credentials_are_secret_and_only_where_needed(build: Build) -> None:
    objects = build()
    holders = [key for key, each in objects.items() if "letmein" in json.dumps(each.inputs)]
    assert len(holders) == 1
    assert holders[0].startswith("Secret/producer-")
    assert "stringData" in objects[holders[0]].secret_inputs


def test_values_reach_the_apps(build: Build) -> None:
    objects = build()
    bootstrap = ",".join(f"kafka-{n}.kafka.argus.svc.cluster.local:9093" for n in range(3))
    assert variables(objects, "consumer")["ARGUS_KAFKA_BOOTSTRAP_SERVERS"] == bootstrap
    assert variables(objects, "ui")["ARGUS_CONSUMER_URLS"] == (
        "https://consumer-0.consumer:8080,https://consumer-1.consumer:8080"
    )
    assert variables(objects, "ui")["ARGUS_PRODUCER_URLS"].split(",")[3] == "https://producer-3:8080"


def test_only_who_needs_it_may_talk_to_the_api(build: Build) -> None:
    for key, template in templates(build()).items():
        may = key.startswith(("Deployment/model-", "Deployment/argus-keda/", "Deployment/argus-vpa/", "Deployment/ui"))
        assert template["spec"]["automountServiceAccountToken"] is may, key


def test_every_node_has_the_images_of_pods_that_may_come(build: Build) -> None:
    spec = build()["DaemonSet/image-cache"].inputs["spec"]["template"]["spec"]
    pulled = {container["image"]: container["command"] for container in spec["initContainers"]}
    # The consumer's is also beside Filebeat.
    moving = ("consumer", "filebeat", "producer", "spark", "ui")
    assert pulled == {f"{image}:1": ["/bin/true"] for image in moving}
    assert [container["image"] for container in spec["containers"]] == ["pause:1"]


def test_a_number_of_pods_that_may_change_belongs_to_the_autoscaler_alone(build: Build) -> None:
    objects = build(ui={"replicas": {"minimum": 2, "maximum": 5}})
    assert "replicas" not in objects["Deployment/ui"].inputs["spec"]
    scaler = objects["HorizontalPodAutoscaler/ui"].inputs["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "ui"}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["metrics"][0]["resource"]["target"] == {"type": "AverageValue", "averageValue": "300m"}


def test_a_fixed_number_of_pods_has_no_autoscaler(build: Build) -> None:
    objects = build(
        ui={"replicas": {"minimum": 2, "maximum": 2}},
        filebeat={"replicas": {"minimum": 2, "maximum": 2}},
        consumer={"replicas": {"minimum": 2, "maximum": 2}},
    )
    for pods in ("Deployment/ui", "Deployment/filebeat", "StatefulSet/consumer"):
        assert objects[pods].inputs["spec"]["replicas"] == 2
    assert not [key for key in objects if key.startswith(("HorizontalPodAutoscaler/", "ScaledObject/"))]


def test_a_number_that_somebody_else_changed_is_taken_over(build: Build) -> None:
    """An autoscaler still owns the number of replicas, so fixing one would otherwise be refused as a conflict."""
    for key, each in build().items():
        if key.startswith(("Deployment/", "StatefulSet/")):
            assert each.inputs["metadata"]["annotations"] == {"pulumi.com/patchForce": "true"}, key


def test_pods_that_share_a_consumer_group_come_with_its_lag_and_stay_for_their_cpu(build: Build) -> None:
    objects = build(
        filebeat={"replicas": {"maximum": 3, "targetLagSeconds": 20, "recordsPerSecond": 700}},
        consumer={"replicas": {"maximum": 4}},
    )
    for kind, name in (("Deployment", "filebeat"), ("StatefulSet", "consumer")):
        assert "replicas" not in objects[f"{kind}/{name}"].inputs["spec"]
        scaler = objects[f"ScaledObject/{name}"]
        assert scaler.inputs["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": kind, "name": name}
        # The kind is unknown before its CRD exists.
        assert "keda-scaledobjects" in scaler.depends_on
    spec = objects["ScaledObject/filebeat"].inputs["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 3)
    lag, cpu = (trigger["metadata"] for trigger in spec["triggers"])
    assert (lag["consumerGroup"], lag["lagThreshold"]) == ("filebeat", str(20 * 700))
    assert cpu == {"value": "500m"}
    assert "topic" not in lag, "what waits is the sum over the group's topics"


def test_the_page_asks_every_consumer_that_may_come(build: Build) -> None:
    objects = build(consumer={"replicas": {"maximum": 4}})
    urls = objects["ConfigMap/ui"].inputs["data"]["ARGUS_CONSUMER_URLS"].split(",")
    assert [url.removeprefix("https://").split(".")[0] for url in urls] == [f"consumer-{n}" for n in range(4)]
