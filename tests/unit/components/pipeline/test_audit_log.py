"""The audit log's way to Elasticsearch, where the stack asks for it."""

import json
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from components.cluster.kubeadm import AUDIT_LOGS
from components.pipeline import audit_log
from components.pipeline import elasticsearch_proxy as proxy
from components.pipeline.audit_log import filebeat_yml
from components.pipeline.elasticsearch import audit_template
from components.pipeline.kafka import TLS_PORT
from tests.unit.components.conftest import ROOT, Program
from tests.unit.components.network_policy import End, allowed

STACK = ROOT / "Pulumi.prod.yaml"
SEARCH = "elasticsearch"


def objects(program: Program, *, ship: bool) -> list[dict[str, Any]]:
    changes = {"audit": {"ship": True, "retentionDays": 30}} if ship else {}
    made = program(STACK, changes).resources
    return [each.inputs for each in made if each.type.startswith("kubernetes:")]


@pytest.fixture
def shipping(program: Program) -> list[dict[str, Any]]:
    return objects(program, ship=True)


def one(found: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (it,) = (each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return it


def test_a_stack_that_does_not_ask_for_it_has_none_of_it(program: Program) -> None:
    found = objects(program, ship=False)
    assert not [each for each in found if each["metadata"].get("namespace") == audit_log.NAMESPACE]
    assert '"audit-*"' not in json.dumps(found)
    assert audit_log.NAMESPACE not in json.dumps([each for each in found if each["kind"] != "ConfigMap"])


def test_its_pods_are_on_control_planes_and_may_only_read_the_log(shipping: list[dict[str, Any]]) -> None:
    pod = one(shipping, "DaemonSet", "audit-log")["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"node-role.kubernetes.io/control-plane": ""}
    assert pod["tolerations"] == [
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    of_the_machine = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    assert of_the_machine == {"log": AUDIT_LOGS}
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "log")
    assert (mount["mountPath"], mount["readOnly"]) == (AUDIT_LOGS, True)


def test_they_reach_elasticsearch_and_nobody_reaches_them(shipping: list[dict[str, Any]]) -> None:
    policies = [each for each in shipping if each["kind"] == "NetworkPolicy"]
    pods = one(shipping, "DaemonSet", "audit-log")["spec"]["template"]["metadata"]["labels"]
    shipper = End(address=IPv4Address("10.244.0.2"), namespace=audit_log.NAMESPACE, labels=pods)
    labels = one(shipping, "StatefulSet", SEARCH)["spec"]["template"]["metadata"]["labels"]
    search = End(address=IPv4Address("10.244.0.3"), namespace="argus", labels=labels)
    kafka = one(shipping, "StatefulSet", "kafka")["spec"]["template"]["metadata"]["labels"]
    assert allowed(policies, shipper, search, proxy.HTTPS)
    assert not allowed(policies, shipper, search, 9300)
    assert not allowed(policies, shipper, replace(search, labels=kafka), TLS_PORT)
    assert not allowed(policies, search, shipper, proxy.HTTPS)
    # Neither the namespace nor the labels alone let anybody in.
    assert not allowed(policies, replace(shipper, labels={}), search, proxy.HTTPS)
    assert not allowed(policies, replace(shipper, namespace="default"), search, proxy.HTTPS)


def test_elasticsearch_expects_it_and_deletes_it_in_time(shipping: list[dict[str, Any]]) -> None:
    config = one(shipping, "ConfigMap", SEARCH)["data"]["elasticsearch.yml"]
    assert 'action.auto_create_index: "results-*,audit-*"\n' in config
    retention = one(shipping, "ConfigMap", "elasticsearch-retention")["data"]
    assert (retention["ARGUS_RETENTION_DAYS"], retention["ARGUS_AUDIT_RETENTION_DAYS"]) == ("7", "30")
    (job,) = (each for each in shipping if each["kind"] == "Job" and "template" in each["metadata"]["name"])
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-2:] == ["/etc/argus/results.json", "/etc/argus/audit.json"]
    files = one(shipping, "ConfigMap", job["metadata"]["name"])["data"]
    assert json.loads(files["audit.json"])["index_patterns"] == ["audit-*"]


def test_a_line_has_one_place_however_often_it_is_read() -> None:
    config = json.loads(filebeat_yml("http://elasticsearch:9200"))
    assert config["filebeat.inputs"][0]["paths"] == [f"{AUDIT_LOGS}/audit*.log"]
    (script,) = (each["script"]["source"] for each in config["processors"] if "script" in each)
    assert "auditID" in script
    assert "stage" in script
    assert config["output.elasticsearch"]["index"] == "audit-%{+yyyy.MM.dd}"


def test_no_field_is_mapped_by_itself() -> None:
    template = audit_template(3)["template"]
    assert template["mappings"]["dynamic"] is False
    assert template["settings"]["number_of_replicas"] == 1
    assert audit_template(1)["template"]["settings"]["number_of_replicas"] == 0
