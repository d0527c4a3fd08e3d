"""The vertical autoscaling that components declare."""

from typing import Any

import pytest

from components.pipeline.stages import STAGES
from components.pipeline.vertical import targets
from tests.unit.components.pipeline.conftest import Build, settings


def test_a_stack_that_asks_for_nothing_has_nothing_watched() -> None:
    given = settings(ui={"vertical": "off"})
    assert targets(given, STAGES) == []
    assert not given.scales_vertically


def test_every_workload_of_a_stage_is_watched() -> None:
    given = settings(
        producers={"count": 2, "vertical": "apply"},
        kafka={"vertical": "recommend"},
        consumer={"vertical": "off"},
        ui={"vertical": "off"},
    )
    assert given.scales_vertically
    assert [(each.kind, each.name, each.vertical) for each in targets(given, STAGES)] == [
        ("StatefulSet", "kafka", "recommend"),
        ("Deployment", "producer-0", "apply"),
        ("Deployment", "producer-1", "apply"),
    ]


def test_off_may_come_as_yaml_reads_it() -> None:
    assert settings(consumer={"vertical": False}).consumer.vertical == "off"


def test_a_pod_is_changed_where_it_runs_and_a_database_only_within_its_budget(build: Build) -> None:
    objects = build(consumer={"vertical": "recommend"}, kafka={"vertical": "apply"})
    policies = {
        name: objects[f"VerticalPodAutoscaler/{name}"].inputs["spec"]["updatePolicy"]
        for name in ("ui", "consumer", "kafka")
    }
    assert policies == {
        "ui": {"updateMode": "InPlace", "minReplicas": 1},
        "consumer": {"updateMode": "Off", "minReplicas": 1},
        "kafka": {"updateMode": "Recreate", "minReplicas": 2},
    }
    (containers,) = objects["VerticalPodAutoscaler/kafka"].inputs["spec"]["resourcePolicy"]["containerPolicies"]
    assert containers["minAllowed"] == {"memory": "512Mi"}
    assert containers["controlledResources"] == ["memory"], "the CPU of a restart would be the reason for the next one"
    assert objects["VerticalPodAutoscaler/ui"].depends_on >= {"vpa-verticalpodautoscalers"}


@pytest.mark.parametrize(
    ("stage", "variable"), [("kafka", "KAFKA_HEAP_OPTS"), ("elasticsearch", "ES_JAVA_OPTS")], ids=str
)
def test_a_heap_follows_the_memory_where_that_changes(build: Build, stage: str, variable: str) -> None:
    def flags(objects: Any) -> tuple[str, int]:
        container, *_ = objects[f"StatefulSet/{stage}"].inputs["spec"]["template"]["spec"]["containers"]
        limit = int(container["resources"]["limits"]["memory"].removesuffix("Mi"))
        return next(each["value"] for each in container["env"] if each["name"] == variable), limit

    fixed, limit = flags(build())
    assert "-Xmx" in fixed
    assert "RAMPercentage" not in fixed
    following, same_limit = flags(build(**{stage: {"vertical": "apply"}}))
    assert same_limit == limit
    assert "-Xm" not in following
    share = float(following.split("-XX:MaxRAMPercentage=")[1].split()[0])
    heap = int(fixed.split("-Xmx")[1].split("m")[0])
    assert share * limit / 100 == pytest.approx(heap, rel=0.001)


def test_the_webhook_is_registered_under_the_name_that_its_certificate_is_for(build: Build) -> None:
    objects = build()
    spec = objects["Deployment/argus-vpa/vpa-admission-controller"].inputs["spec"]["template"]["spec"]
    (certificate,) = spec["initContainers"]
    assert certificate["args"] == ["vpa-webhook.argus-vpa.svc"]
    # The controller registers the service of the namespace that it is told here.
    (namespace,) = spec["containers"][0]["env"]
    assert namespace == {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    assert "--webhook-service=vpa-webhook" in spec["containers"][0]["args"]
    (port,) = objects["Service/argus-vpa/vpa-webhook"].inputs["spec"]["ports"]
    assert port["port"] == 443
    assert f"--port={port['targetPort']:.0f}" in spec["containers"][0]["args"]
