"""How Elasticsearch's nodes know each other, and in which order a running stack gets there."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from pydantic import ValidationError

from components import kubernetes as k
from components.config.sections import TRANSPORTS, Elasticsearch, Transport
from components.pipeline import elasticsearch, elasticsearch_peers
from components.pipeline import elasticsearch_proxy as proxy
from components.pipeline.elasticsearch_peer_identity import DIR, SECRET
from components.pipeline.elasticsearch_peers import DOOR, EXIT, NODE
from tests.unit.components.pipeline.conftest import Build, settings
from tests.unit.components.pipeline.test_pipeline import templates

NODES = "StatefulSet/elasticsearch"
BETWEEN_STEPS = [*itertools.pairwise(TRANSPORTS), *((b, a) for a, b in itertools.pairwise(TRANSPORTS))]


def section(transport: Transport, **others: Any) -> Elasticsearch:
    return Elasticsearch.model_validate({"nodeTransport": transport, **others})


def config(of: Elasticsearch) -> dict[str, Any]:
    lines = elasticsearch.elasticsearch_yml("argus", of).splitlines()
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines)}


def in_plain(transport: Transport) -> bool:
    """Whether a node of this step answers others that come in plain."""
    return config(section(transport)).get("transport.bind_host") is None


def reaches(one: Transport, other: Transport, address: str) -> bool:
    """Whether a node of one step reaches one of the other at such an address."""
    if not address.startswith("127."):
        return in_plain(other)
    return elasticsearch_peers.wanted(section(one)) and elasticsearch_peers.wanted(section(other))


def published(transport: Transport) -> str:
    """Where a node of this step says that it is."""
    return str(config(section(transport)).get("transport.publish_host", "the pod's address"))


def sought(transport: Transport) -> str:
    """Where a node of this step looks for others when it starts."""
    first, *_ = config(section(transport))["discovery.seed_hosts"]
    return str(first)


def allowed(transport: Transport) -> set[int]:
    """The ports of nodes that policies let nodes reach."""
    return set(elasticsearch_peers.ports(section(transport)).values())


@pytest.mark.parametrize(("before", "after"), BETWEEN_STEPS)
def test_between_two_steps_nodes_of_both_reach_each_other(before: Transport, after: Transport) -> None:
    """Nodes change one after the other, and policies at any time."""
    for one, other in itertools.product((before, after), repeat=2):
        for address in (published(other), sought(one)):
            assert reaches(one, other, address)
            assert (DOOR if address.startswith("127.") else NODE) in allowed(before) & allowed(after)


def test_a_step_that_leaves_one_out_would_part_nodes() -> None:
    """Or the test above could not fail."""
    assert not reaches("plain", "prefer", published("prefer"))
    assert not reaches("both", "tls", sought("both"))
    assert NODE not in allowed("tls")


def test_with_tls_a_node_listens_at_its_loopback_alone_and_others_find_it_by_theirs() -> None:
    found = config(section("tls", replicas=3))
    assert found["transport.bind_host"] == "127.0.0.1"
    assert (found["transport.publish_host"], found["transport.publish_port"]) == ("127.0.1.${POD_INDEX}", EXIT)
    assert found["discovery.seed_hosts"] == [f"127.0.1.{number}:{EXIT}" for number in range(3)]


@pytest.mark.parametrize("transport", ["plain", "both"])
def test_nodes_that_talk_in_plain_are_told_what_they_were_told_before(transport: Transport) -> None:
    found = config(section(transport))
    assert not [key for key in found if key.startswith("transport.")]
    assert found["discovery.seed_hosts"][0] == "elasticsearch-0.elasticsearch-nodes.argus.svc.cluster.local"


def test_both_ends_want_the_nodes_certificate_and_tls_1_3() -> None:
    text = elasticsearch_peers.nginx_conf(["10.96.0.2", "10.96.0.3"])
    for line in (
        "listen 9301 ssl so_keepalive=60s:10s:3;",
        "ssl_verify_client on;",
        "ssl_protocols TLSv1.3;",
        f"ssl_client_certificate {DIR}/ca.pem;",
        "proxy_pass 127.0.0.1:9300;",
        "proxy_ssl_verify on;",
        "proxy_ssl_name elasticsearch-peer;",
        "proxy_ssl_protocols TLSv1.3;",
        f"proxy_ssl_trusted_certificate {DIR}/ca.pem;",
    ):
        assert f"{line}\n" in text
    listening = [line.split()[1].rstrip(";") for line in text.splitlines() if line.strip().startswith("listen ")]
    assert listening == ["9301", "127.0.1.0:9302", "127.0.1.1:9302"], "in plain at its own loopback alone"
    assert text.count("proxy_ssl on;") == 2


@pytest.fixture
def objects(build: Build) -> Any:
    return build()


def test_a_node_reaches_others_by_an_address_that_stays_and_those_that_are_still_to_come(objects: Any) -> None:
    text = objects["ConfigMap/elasticsearch"].inputs["data"]["peers.conf"]
    for number in range(6):
        assert f"listen 127.0.1.{number}:9302;" in text
        assert f"proxy_pass address-of-elasticsearch-peer-{number}:9301;" in text
        spec = objects[f"Service/elasticsearch-peer-{number}"].inputs["spec"]
        assert spec["selector"][k.POD_NAME] == f"elasticsearch-{number}"
        assert spec["publishNotReadyAddresses"], "a node is ready only once it has joined the others"
        assert [each["port"] for each in spec["ports"]] == [DOOR]
    assert "Service/elasticsearch-peer-6" not in objects


def test_the_most_nodes_that_a_stack_may_have_fit_where_others_find_them() -> None:
    assert section("tls", replicas=128) and elasticsearch_peers.exit_of(2 * 128 - 1) == "127.0.1.255"
    with pytest.raises(ValidationError, match="less than or equal to 128"):
        section("tls", replicas=129)


def test_only_the_proxy_between_nodes_has_their_certificate(objects: Any) -> None:
    pods = {name: template["spec"] for name, template in templates(objects).items()}
    having = {
        name
        for name, pod in pods.items()
        if any(volume.get("secret", {}).get("secretName") == SECRET for volume in pod.get("volumes", ()))
    }
    assert having == {NODES}
    mounted = [
        each["name"]
        for each in pods[NODES]["containers"]
        if DIR in {mount["mountPath"] for mount in each["volumeMounts"]}
    ]
    assert mounted == [elasticsearch_peers.NAME]
    (peers,) = (each for each in pods[NODES]["containers"] if each["name"] == elasticsearch_peers.NAME)
    assert peers["securityContext"]["readOnlyRootFilesystem"]


def ports_between_nodes(objects: Any) -> set[int]:
    """Those at which the nodes' policy lets nodes in."""
    rules = objects["NetworkPolicy/elasticsearch"].inputs["spec"]["ingress"]
    labels = {"podSelector": {"matchLabels": elasticsearch.LABELS}}
    return {port["port"] for rule in rules if labels in rule["from"] for port in rule["ports"]}


def declared(objects: Any) -> set[int]:
    """The ports of the containers in a node's pod."""
    containers = templates(objects)[NODES]["spec"]["containers"]
    return {port["containerPort"] for each in containers for port in each["ports"]}


@pytest.mark.parametrize(
    ("transport", "ports"),
    [("plain", {NODE}), ("both", {NODE, DOOR}), ("prefer", {NODE, DOOR}), ("tls", {DOOR})],
)
def test_policies_let_nodes_reach_what_listens_there(build: Build, transport: Transport, ports: set[int]) -> None:
    objects = build(elasticsearch={"nodeTransport": transport})
    assert ports_between_nodes(objects) == declared(objects) & {NODE, DOOR, EXIT} == ports


@pytest.mark.parametrize(
    ("between", "clients", "path", "port"),
    [
        ("prefer", "tls", None, NODE),
        ("tls", "plain", None, elasticsearch.HTTP),
        ("tls", "both", proxy.ALIVE, proxy.PROBES),
        ("tls", "tls", proxy.ALIVE, proxy.PROBES),
    ],
)
def test_whether_a_node_lives_is_asked_where_it_answers(
    build: Build, between: Transport, clients: str, path: str | None, port: int
) -> None:
    objects = build(elasticsearch={"nodeTransport": between, "transport": clients})
    node, *_ = templates(objects)[NODES]["spec"]["containers"]
    probe = node["livenessProbe"]
    assert (
        (probe["httpGet"]["path"], probe["httpGet"]["port"]) == (path, port)
        if path
        else probe["tcpSocket"] == {"port": port}
    )


def variables(objects: Any) -> dict[str, Any]:
    node, *_ = templates(objects)[NODES]["spec"]["containers"]
    return {each["name"]: each for each in node["env"]}


def test_a_node_is_told_its_number_and_checks_its_machine_as_before(build: Build, objects: Any) -> None:
    found = variables(objects)
    reference = found["POD_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert reference == "metadata.labels['apps.kubernetes.io/pod-index']"
    assert found["ES_JAVA_OPTS"]["value"].endswith(" -Des.enforce.bootstrap.checks=true")
    plain = variables(build(elasticsearch={"nodeTransport": "plain"}))
    assert "POD_INDEX" not in plain and "bootstrap" not in plain["ES_JAVA_OPTS"]["value"]


def test_a_node_that_is_alone_lets_nobody_in_and_has_no_proxy_for_it(build: Build) -> None:
    objects = build(elasticsearch={"replicas": 1})
    assert not [name for name in objects if "elasticsearch-peer" in name]
    found = config(section("tls", replicas=1))
    assert found["transport.bind_host"] == "127.0.0.1" and "transport.publish_host" not in found
    assert ports_between_nodes(objects) == declared(objects) & {NODE, DOOR} == set()
    assert elasticsearch.proxies(settings(elasticsearch={"replicas": 1})).keys() == {proxy.NAME}


def test_the_proxies_image_is_wanted_for_either_way() -> None:
    for between, clients, wanted in (
        ("plain", "plain", []),
        ("both", "plain", [elasticsearch_peers.NAME]),
        ("plain", "tls", [proxy.NAME]),
        ("tls", "tls", [proxy.NAME, elasticsearch_peers.NAME]),
    ):
        stack = settings(elasticsearch={"nodeTransport": between, "transport": clients})
        assert list(elasticsearch.proxies(stack)) == wanted
