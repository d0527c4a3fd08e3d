"""All objects of the pipeline against the published schema of Kubernetes 1.36; an unknown field fails."""

import json
from typing import Any

from tests.unit.components.pipeline.conftest import declare
from tests.unit.components.published_schema import mistakes_of


def test_every_object_is_as_kubernetes_publishes_it(pulumi_mocks: Any) -> None:
    pulumi_mocks.run(declare)
    objects = [each.inputs for each in pulumi_mocks.resources if each.type.startswith("kubernetes:")]
    assert {item["kind"] for item in objects} >= {"StatefulSet", "Deployment", "Job", "CronJob", "Role", "Secret"}
    assert [text for item in objects for text in mistakes_of(item)] == []


def test_the_check_is_strict() -> None:
    item = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x"},
        "spec": {"prots": [], "ports": [{"port": "http"}]},
    }
    assert mistakes_of(item) == [
        "Service/x.spec.prots is unknown",
        "Service/x.spec.ports[0].port: 'http' is no integer",
    ]


def test_the_check_of_keda_s_objects_is_strict() -> None:
    trigger = {"type": "kafka", "metadata": {"lagThreshold": "1"}, "metriks": "x"}
    item = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "x"},
        "spec": {"scaleTargetRef": {"name": "x"}, "maxReplicaCount": "3", "triggers": [trigger]},
    }
    assert mistakes_of(item) == [
        "ScaledObject/x.spec.maxReplicaCount: '3' is no integer",
        "ScaledObject/x.spec.triggers[0].metriks is unknown",
    ]


def test_the_check_of_vertical_autoscalers_is_strict() -> None:
    item = {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": {"name": "x"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "x"}, "updatePolicy": {"updateMode": "Sometimes"}},
    }
    (mistake,) = mistakes_of(item)
    assert mistake.startswith("VerticalPodAutoscaler/x.spec.updatePolicy.updateMode: 'Sometimes' is none of ")


def test_executors_are_made_from_a_valid_pod(pulumi_mocks: Any) -> None:
    pulumi_mocks.run(declare)
    template = json.loads(pulumi_mocks.named("model-objects-spark").inputs["data"]["executor.yaml"])
    assert mistakes_of({**template, "metadata": {**template["metadata"], "name": "executor"}}) == []
