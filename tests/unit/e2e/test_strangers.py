"""What strangers try on the lab, and what they are expected to reach."""

import json
from typing import Any

import pytest

from components.config import load_values
from components.config.sections import TRANSPORTS, Transport
from components.pipeline import kafka, zookeeper
from components.pipeline.network_policies import Flow, flows, pods
from components.pipeline.stages import STAGES
from tests.e2e import strangers
from tests.e2e.cluster import NAMESPACE
from tests.e2e.strangers import SERVICES, Stranger, Target
from tests.unit.stacks import LAB, sections
from tests.unknown_key import UNKNOWN_KEY

KINDS = {"ui": {"name": "ui"}, "kafka": {"name": "kafka"}, "topics": {"name": "topics", "component": "job"}}
TABLE = [Flow("topics", "kafka", (9092,)), Flow("ui", "kafka", (9092,)), Flow("kafka", "kafka", (9092, 9093))]
KAFKA, PEERS, PAGE = Target("kafka", "10.244.0.2", 9092), Target("kafka", "10.244.0.2", 9093), Target("ui", "h", 8080)
ALL = (KAFKA, PEERS, PAGE)


def pod(labels: dict[str, str], *ports: int, **status: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels},
        "spec": {"nodeName": "worker1", "containers": [{"ports": [{"containerPort": port} for port in ports]}]},
        "status": {"phase": "Running", "podIP": "10.244.0.2", **status},
    }


def stranger(name: str, namespace: str = NAMESPACE) -> Stranger:
    (found,) = (each for each in strangers.strangers(KINDS) if (each.name, each.namespace) == (name, namespace))
    return found


@pytest.mark.parametrize(
    ("name", "namespace", "reached"),
    [
        ("stranger-topics", NAMESPACE, {KAFKA}),
        ("stranger-ui", NAMESPACE, {KAFKA}),
        ("stranger-kafka", NAMESPACE, {KAFKA, PEERS}),
        ("stranger", NAMESPACE, set()),
        ("stranger", "default", {PAGE}),
        ("stranger-ui", "default", {PAGE}),
    ],
)
def test_a_stranger_may_reach_what_its_labels_give_it(name: str, namespace: str, reached: set[Target]) -> None:
    assert stranger(name, namespace).may_reach(ALL, TABLE) == reached


def test_a_stranger_tries_everything_and_gets_no_request_of_others() -> None:
    container = stranger("stranger-ui").manifest("ui:1", strangers.TRY, ALL)["spec"]["containers"][0]
    assert container["command"] == ["python", "-c", strangers.TRY, "10.244.0.2:9092", "10.244.0.2:9093", "h:8080"]
    assert container["readinessProbe"]["exec"]["command"] == ["false"]


def test_every_port_of_a_running_pod_is_tried_also_one_that_only_the_table_names() -> None:
    there = [
        pod(KINDS["kafka"], 9092, 7000),
        pod(KINDS["topics"], 1, phase="Succeeded"),
        pod({"name": "image-cache"}, 2),
        pod(KINDS["ui"], 8080, podIP=""),
    ]
    tried = strangers.targets_on(there, KINDS, TABLE)
    assert tried == {"worker1": [Target("kafka", "10.244.0.2", port) for port in (7000, 9092, 9093)]}


def test_a_port_of_the_table_where_nothing_listens_is_said() -> None:
    assert strangers.untried([KAFKA, PEERS], KINDS, TABLE) == set()
    assert strangers.untried([PAGE], KINDS, TABLE) == {("kafka", 9092), ("kafka", 9093)}
    assert strangers.untried([PAGE], ["ui"], TABLE) == set()


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ([], "not tried twice"),
        ([[str(KAFKA)]], "not tried twice"),
        ([[], [str(KAFKA)]], "does not reach: ['10.244.0.2:9092']"),
        ([[str(KAFKA)], [str(KAFKA), str(PAGE)]], "reaches what it may not: ['h:8080']"),
        ([[str(KAFKA)], [str(KAFKA)]], None),
    ],
)
def test_what_a_stranger_says_twice_counts(said: list[list[str]], part: str | None) -> None:
    found = strangers.disagreement([json.dumps(line) for line in said], [KAFKA])
    assert found is None if part is None else part in (found or "")


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ([], "not tried yet"),
        ([{"away": ["a:1"], "serving": {}}], "does not reach: ['a:1']"),
        ([{"away": [], "serving": {"a:1": ["Kafka in plain"]}}], "is served without showing who it is"),
        ([{"away": ["a:1"], "serving": {}}, {"away": [], "serving": {}}], None),
    ],
)
def test_a_stranger_is_refused_who_reaches_all_and_is_served_nowhere(said: list[Any], part: str | None) -> None:
    found = strangers.refusal([json.dumps(line) for line in said])
    assert found is None if part is None else part in (found or "")


def test_each_stranger_s_lines_are_its_own() -> None:
    said = strangers.by_stranger(["@argus/stranger", "@argus/stranger-ui", "[1]", "[2]", "@default/stranger", "[]"])
    assert said == {"argus/stranger": [], "argus/stranger-ui": ["[1]", "[2]"], "default/stranger": ["[]"]}


def test_the_lab_has_a_stranger_for_each_of_its_pods(tmp_path: Any) -> None:
    key = tmp_path / "key"
    key.write_text(UNKNOWN_KEY)
    settings = load_values(sections(LAB, key))
    kinds, table = pods(settings, STAGES), strangers.table_of(settings)
    assert {each.kind for each in strangers.strangers(kinds)} - {None} == set(kinds)
    # Every line of the table that concerns the lab lets some stranger reach something.
    everything = [Target(flow.server, "host", port) for flow in table for port in flow.ports if flow.server in kinds]
    for flow in table:
        if {flow.client, flow.server} <= kinds.keys():
            (like,) = (each for each in strangers.strangers(kinds) if each.kind == flow.client)
            reached = {(target.kind, target.port) for target in like.may_reach(everything, table)}
            assert {(flow.server, port) for port in flow.ports} <= reached


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_services_are_tried_where_the_stack_s_brokers_listen(transport: Transport) -> None:
    tried = [
        (target.kind, target.port)
        for target in strangers.services(flows(["objects"], transport, transport, "both", ()))
    ]
    assert {kind for kind, _ in tried} == SERVICES.keys()
    assert {port for kind, port in tried if kind == "kafka"} == set(kafka.ports(transport).values())
    assert {port for kind, port in tried if kind == "zookeeper"} == set(zookeeper.client_ports(transport))
