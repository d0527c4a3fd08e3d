"""Kafka's listener for clients outside the cluster: none by default, and what there is of it where it is set."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from components.config.sections import Kafka
from components.pipeline import kafka
from tests.unit.components.conftest import Program
from tests.unit.components.pipeline.conftest import Build, declare
from tests.unit.components.pipeline.test_pipeline import templates
from tests.unit.stacks import LAB, configuration

BROKER = "StatefulSet/kafka"
OUTSIDE = {
    "nodePort": 30092,
    "clients": {"report": {"read": ["frames"], "write": ["rejected"], "groups": ["report"]}},
}


@pytest.fixture
def objects(build: Build) -> Mapping[str, Any]:
    return build(kafka={"outside": OUTSIDE})


def listeners(section: Kafka) -> dict[str, str]:
    lines = kafka.server_properties("zookeeper:2181", section, section.transport).splitlines()
    return dict(line.split("=", 1) for line in lines if line.startswith("listener"))


def ingress(objects: Mapping[str, Any]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = objects["NetworkPolicy/kafka"].inputs["spec"]["ingress"]
    return rules


def test_by_default_nobody_outside_gets_in(build: Build) -> None:
    objects = build()
    assert not [name for name in objects if "outside" in name]
    assert "OUTSIDE" not in json.dumps(templates(objects)[BROKER])
    assert all("from" in rule for rule in ingress(objects))
    assert listeners(Kafka()) == {"listeners": "SSL://:9093"}


def test_brokers_listen_with_tls_and_ask_for_a_certificate() -> None:
    section = Kafka.model_validate({"outside": OUTSIDE})
    assert listeners(section) == {
        "listeners": "SSL://:9093,OUTSIDE://:9094",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:SSL,OUTSIDE:SSL",
    }
    assert "ssl.client.auth=required" in kafka.server_properties("zookeeper:2181", section, "tls").splitlines()


def test_each_broker_has_a_port_at_every_machine_which_it_tells_its_clients(objects: Mapping[str, Any]) -> None:
    command = templates(objects)[BROKER]["spec"]["containers"][0]["command"][-1]
    assert ":9093,OUTSIDE://192.0.2.10:$((30092 + ${HOSTNAME##*-}))" in command
    for number in range(3):
        spec = objects[f"Service/kafka-outside-{30092 + number}"].inputs["spec"]
        (port,) = spec["ports"]
        assert (spec["type"], port["nodePort"], port["targetPort"]) == ("NodePort", 30092 + number, kafka.OUTSIDE_PORT)
        assert spec["selector"]["statefulset.kubernetes.io/pod-name"] == f"kafka-{number}"
        # Any machine passes a connection on to the broker, wherever that runs.
        assert spec.get("externalTrafficPolicy", "Cluster") == "Cluster"


def test_any_address_reaches_that_port_of_a_broker_alone(objects: Mapping[str, Any]) -> None:
    (rule,) = [rule for rule in ingress(objects) if "from" not in rule]
    assert [each["port"] for each in rule["ports"]] == [kafka.OUTSIDE_PORT]


def test_a_client_has_its_rights_and_a_quota(objects: Mapping[str, Any]) -> None:
    (rules,) = [
        each.inputs["data"] for name, each in objects.items() if re.match("ConfigMap/kafka-rules-(?!env)", name)
    ]
    own = [grant for grant in json.loads(rules["grants.json"]) if grant["client"] == "report"]
    assert {(each["resource"], each["name"], each["operation"]) for each in own} == {
        ("topic", "frames", "read"),
        ("topic", "rejected", "write"),
        ("group", "report", "read"),
    }
    (topics,) = [each.inputs["data"] for each in objects.values() if "quotas" in each.inputs.get("data", {})]
    assert "report request_percentage=150" in topics["quotas"].splitlines()


@pytest.mark.parametrize(("given", "host"), [({}, "192.0.2.10"), ({"host": "kafka.example.com"}, "kafka.example.com")])
def test_a_broker_s_certificate_names_the_host_and_a_client_s_is_in_no_secret_of_the_cluster(
    pulumi_mocks: Any, given: Mapping[str, str], host: str
) -> None:
    pulumi_mocks.run(lambda: declare(kafka={"outside": {**OUTSIDE, **given}}))
    assert f"'{host}'" in pulumi_mocks.named("kafka-identities-kafka-certificate").inputs["create"]
    assert pulumi_mocks.named("kafka-identities-report-certificate").secret_outputs == {"stdout"}
    secrets = [each.inputs["metadata"]["name"] for each in pulumi_mocks.resources if each.type.endswith("v1:Secret")]
    assert "kafka-kafka" in secrets and not [name for name in secrets if "report" in name]


def test_the_stack_says_where_and_with_what_clients_outside_connect(program: Program) -> None:
    made = program(LAB, {"kafka": {"outside": OUTSIDE}})
    endpoint = configuration(LAB)["argus:cluster"]["endpoint"]
    assert made.exports["kafkaServers"] == ",".join(f"{endpoint}:{port}" for port in (30092, 30093, 30094))
    assert "kafkaClients" in made.exports
    (policy,) = [
        each.inputs
        for each in made.resources
        if each.type.endswith(":NetworkPolicy") and each.inputs["metadata"]["name"] == "kafka"
    ]
    assert any("from" not in rule for rule in policy["spec"]["ingress"])


def test_by_default_it_says_nothing_of_them(program: Program) -> None:
    assert not {"kafkaServers", "kafkaClients"} & program(LAB).exports.keys()
