"""The whole program's policies allow exactly the connections that the pipeline needs."""

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from components.cluster.kubeadm import KUBELET_PORT
from components.config.sections import Camera, Cluster, OpenIdConnect
from components.pipeline import acme
from components.pipeline.network_policies import NetworkPolicies, NetworkPoliciesArgs
from tests.unit.components.conftest import Program
from tests.unit.components.network_policy import End, Policy, allowed, rules
from tests.unit.stacks import HOSTS, LAB

NAMESPACE = "argus"
NAMESPACES = (NAMESPACE, "argus-keda", "argus-vpa")
DRIVERS = {"model-objects", "model-motion"}
BROKERS_CLIENTS = (
    "kafka",
    "topics",
    "producer",
    "consumer",
    "filebeat",
    "comparison",
    "ui",
    *DRIVERS,
    "model-objects-executor",
    "model-motion-executor",
)
NEEDED = {
    ("kafka", "zookeeper", "secure-client"),
    ("zookeeper", "zookeeper", "quorum"),
    ("zookeeper", "zookeeper", "election"),
    *((client, "kafka", "kafka-tls") for client in BROKERS_CLIENTS),
    ("elasticsearch", "elasticsearch", "peers"),
    ("elasticsearch-template", "elasticsearch", "https"),
    ("elasticsearch-retention", "elasticsearch", "https"),
    ("filebeat", "elasticsearch", "https"),
    ("comparison", "elasticsearch", "https"),
    ("comparison", "consumer", "http"),
    ("ui", "elasticsearch", "https"),
    ("producer", "producer", "http"),
    ("ui", "producer", "http"),
    ("ui", "consumer", "http"),
    ("ui", "filebeat", "metrics"),
    ("model-objects-executor", "model-objects", "driver"),
    ("model-objects-executor", "model-objects", "blocks"),
    ("model-objects-executor", "model-objects-executor", "blocks"),
    ("model-objects", "model-objects-executor", "blocks"),
    ("model-motion-executor", "model-motion", "driver"),
    ("model-motion-executor", "model-motion", "blocks"),
    ("model-motion-executor", "model-motion-executor", "blocks"),
    ("model-motion", "model-motion-executor", "blocks"),
}
"""Client, server and the name of the server's port, in both stacks."""

KEDA = {"keda-operator", "keda-metrics-apiserver"}
KEDA_NEEDED = {("keda-operator", "kafka", "kafka-tls"), ("keda-metrics-apiserver", "keda-operator", "metrics")}
VPA = {"vpa-recommender", "vpa-updater", "vpa-admission-controller"}
"""Only in HOSTS: the pods of LAB have fixed numbers and sizes."""

BROWSER = End(address=IPv4Address("203.0.113.9"))
CAMERA = End(address=IPv4Address("198.51.100.31"))
CONTROL_PLANE = End(address=IPv4Address("192.0.2.11"))
DNS = End(address=IPv4Address("10.244.0.2"), namespace="kube-system", labels={"k8s-app": "kube-dns"})
NOT_DNS = End(address=IPv4Address("10.244.0.3"), namespace="kube-system", labels={"k8s-app": "metrics-server"})
ELSEWHERE = End(address=IPv4Address("10.244.0.4"), namespace="default", labels={"app.kubernetes.io/name": "ui"})
SERVICE = End(address=IPv4Address("10.96.0.1"))
INTRUDER = End(address=IPv4Address("10.244.0.5"), namespace=NAMESPACE, labels={"app": "intruder"})


@dataclass(frozen=True)
class Pod:
    """One kind of the program's pods, with its ports by name."""

    end: End
    ports: Mapping[str, int]
    told: Sequence[tuple[str, int]] = ()
    """The services in its settings, each with a port."""


@dataclass(frozen=True)
class Stack:
    """The pods and policies of a stack."""

    file: Path
    pods: Mapping[str, Pod]
    policies: Sequence[Policy]

    @property
    def scales(self) -> bool:
        return self.file == HOSTS

    @property
    def needed(self) -> set[tuple[str, str, str]]:
        return NEEDED | (KEDA_NEEDED if self.scales else set())

    @property
    def api_clients(self) -> set[str]:
        return DRIVERS | {"ui"} | (KEDA | VPA if self.scales else set())

    @property
    def open(self) -> set[tuple[str, str]]:
        """Ports open to every address: to browsers, and to the API servers, whose address is any machine's."""
        asked = {("keda-metrics-apiserver", "https"), ("vpa-admission-controller", "https")}
        return {("ui", "http")} | (asked if self.scales else set())

    def port(self, server: str, name: str) -> int:
        return self.pods[server].ports[name]

    def reaches(self, client: str | End, server: str | End, port: int, protocol: str = "TCP") -> bool:
        source, destination = (self.pods[each].end if isinstance(each, str) else each for each in (client, server))
        return allowed(self.policies, source, destination, port, protocol)

    def reached(self, client: End) -> set[tuple[str, str]]:
        """The servers, and the names of their ports, that somebody reaches."""
        ports = [(server, name, number) for server, pod in self.pods.items() for name, number in pod.ports.items()]
        return {(server, name) for server, name, number in ports if self.reaches(client, server, number)}

    def without(self, policy: int, direction: str, rule: int) -> "Stack":
        policies = copy.deepcopy(list(self.policies))
        del policies[policy]["spec"][direction][rule]
        return Stack(self.file, self.pods, policies)


@pytest.fixture(params=[LAB, HOSTS], ids=lambda file: file.stem)
def stack(request: pytest.FixtureRequest, program: Program) -> Stack:
    objects = [each.inputs for each in program(request.param).resources if each.type.startswith("kubernetes:")]
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    return Stack(request.param, dict(_pods(objects)), policies)


def _pods(objects: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Pod]]:
    """Each kind of pod of the pipeline and its autoscalers, from the objects; executors from their driver."""
    files = {each["metadata"]["name"]: each.get("data", {}) for each in objects if each["kind"] == "ConfigMap"}
    services = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Service"}
    for number, each in enumerate(objects, start=10):
        address = IPv4Address(f"10.244.1.{number % 250}")
        if (namespace := each["metadata"].get("namespace")) not in NAMESPACES:
            continue
        if each["kind"] == "ConfigMap" and "executor.yaml" in each.get("data", {}):
            template = json.loads(each["data"]["executor.yaml"])
            properties = dict(line.split(" ", 1) for line in each["data"]["spark.properties"].splitlines())
            labels = template["metadata"]["labels"]
            ports = {"blocks": int(properties["spark.blockManager.port"])}
            end = End(address=address, namespace=namespace, labels=labels)
            yield f"{labels['app.kubernetes.io/name']}-executor", Pod(end, ports)
        spec = each.get("spec") or {}
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            labels = spec["template"]["metadata"]["labels"]
            containers = spec["template"]["spec"]["containers"]
            ports = {port["name"]: port["containerPort"] for each in containers for port in each.get("ports") or ()}
            end = End(address=address, namespace=namespace, labels=labels)
            yield labels["app.kubernetes.io/name"], Pod(end, ports, _told(spec["template"]["spec"], files, services))


def _told(
    spec: Mapping[str, Any], files: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, int]]:
    containers = spec["containers"]
    read = [each["configMapRef"]["name"] for container in containers for each in container.get("envFrom") or ()]
    read += [each["configMap"]["name"] for each in spec.get("volumes") or () if "configMap" in each]
    settings = [{key: value for key, value in each.items() if key != "image"} for each in containers]
    text = json.dumps([settings, [files[name] for name in read]])
    named = re.findall(rf"([a-z0-9.-]+?)(?:\.{NAMESPACE}\.svc\.cluster\.local)?:(\d+)(?::(\d+))?", text)
    return sorted(
        {
            (services[service]["spec"]["selector"]["app.kubernetes.io/name"], int(port))
            for host, *ports in named
            for port in filter(None, ports)
            if (service := host.rpartition(".")[2]) in services
        }
    )


def test_pods_connect_as_needed_and_in_no_other_way(stack: Stack) -> None:
    numbers = {number for pod in stack.pods.values() for number in pod.ports.values()} | {53, 80, 443, 6443, 9999}
    names = {server: {number: name for name, number in pod.ports.items()} for server, pod in stack.pods.items()}
    found = {
        (client, server, names[server].get(number, str(number)))
        for client in stack.pods
        for server in stack.pods
        for number in numbers
        if stack.reaches(client, server, number)
    }
    assert found == stack.needed


def test_pods_reach_whatever_they_are_told_of(stack: Stack) -> None:
    told = {(client, server, port) for client, pod in stack.pods.items() for server, port in pod.told}
    assert [each for each in told if not stack.reaches(*each)] == []
    # All needed connections except those learnt at run time: to other brokers, nodes, drivers and executors.
    learnt = {("kafka", "kafka"), ("elasticsearch", "elasticsearch"), ("ui", "filebeat")}
    # And those that KEDA reads from a ScaledObject or has built in.
    learnt |= {(client, server) for client, server, _ in KEDA_NEEDED}
    assert {(client, server) for client, server, _ in told} == {
        (client, server) for client, server, _ in stack.needed if "executor" not in client + server
    } - learnt


def test_the_page_and_what_the_api_asks_are_open_and_nothing_else_is(stack: Stack) -> None:
    for stranger in (BROWSER, CONTROL_PLANE, ELSEWHERE):
        assert stack.reached(stranger) == stack.open


def test_everybody_who_connects_to_somebody_by_name_reaches_dns(stack: Stack) -> None:
    clients = {client for client, _, _ in stack.needed}
    for protocol in ("UDP", "TCP"):
        assert {client for client in stack.pods if stack.reaches(client, DNS, 53, protocol)} == clients
    assert not any(
        stack.reaches(client, NOT_DNS, port, protocol)
        for client in stack.pods
        for port, protocol in ((53, "UDP"), (53, "TCP"), (9153, "TCP"))
    )


def test_only_who_asks_the_api_reaches_it(stack: Stack) -> None:
    assert {client for client in stack.pods if stack.reaches(client, CONTROL_PLANE, 6443)} == stack.api_clients
    for port in (22, 2379, 8443, 10257):
        assert not any(stack.reaches(client, CONTROL_PLANE, port) for client in stack.pods)


def test_only_the_page_reaches_kubelets(stack: Stack) -> None:
    assert {client for client in stack.pods if stack.reaches(client, CONTROL_PLANE, KUBELET_PORT)} == {"ui"}


def test_only_producers_reach_cameras_and_only_at_their_ports(stack: Stack) -> None:
    ports = (80, 443, 554, 8554, 1935)
    found = {(client, port) for client in stack.pods for port in ports if stack.reaches(client, CAMERA, port)}
    cameras = {LAB: (8554,), HOSTS: (80, 554)}
    assert found == {("producer", port) for port in cameras[stack.file]}
    assert not any(stack.reaches("producer", inside, port) for inside in (ELSEWHERE, SERVICE) for port in ports)


@pytest.mark.parametrize(("transport", "open_to_udp"), [("udp", True), ("auto", False), ("tcp", False)])
def test_a_producer_reaches_cameras_over_udp_where_one_is_read_so(
    pulumi_mocks: Any, transport: str, open_to_udp: bool
) -> None:
    labels = {"app.kubernetes.io/name": "producer"}
    args = NetworkPoliciesArgs(
        namespace=NAMESPACE,
        pods={"producer": labels},
        models=[],
        cameras=[Camera.model_validate({"name": "gate", "url": "rtsp://192.0.2.9/1", "transport": transport})],
        cluster=Cluster(name="test", endpoint=IPv4Address("192.0.2.10")),
        transport="plain",
        zookeeper_transport="plain",
        search_transport="plain",
        node_ports=[9300],
    )
    pulumi_mocks.run(lambda: NetworkPolicies("network", args) and None)
    policies = [each.inputs for each in pulumi_mocks.resources if each.custom]
    producer = End(address=IPv4Address("10.244.1.2"), namespace=NAMESPACE, labels=labels)
    assert allowed(policies, producer, CAMERA, 554)
    assert allowed(policies, producer, CAMERA, 49152, "UDP") == open_to_udp
    assert not allowed(policies, producer, CAMERA, 53, "UDP")
    assert not allowed(policies, producer, ELSEWHERE, 49152, "UDP")


@pytest.mark.parametrize(
    ("issuer", "ports"),
    [(None, set()), ("https://login.test/realms/a", {443}), ("https://login.test:8443", {8443})],
)
def test_the_page_reaches_the_provider_of_openid_connect_where_there_is_one(
    pulumi_mocks: Any, issuer: str | None, ports: set[int]
) -> None:
    kinds = {name: {"app.kubernetes.io/name": name} for name in ("ui", "consumer")}
    given = {
        "issuer": issuer,
        "clientId": "argus",
        "clientSecret": "secret",
        "roles": [{"value": "guards", "groups": ["all"]}],
    }
    args = NetworkPoliciesArgs(
        namespace=NAMESPACE,
        pods=kinds,
        models=[],
        cameras=[],
        cluster=Cluster(name="test", endpoint=IPv4Address("192.0.2.10")),
        transport="plain",
        zookeeper_transport="plain",
        search_transport="plain",
        node_ports=[9300],
        open_id_connect=OpenIdConnect.model_validate(given) if issuer else None,
    )
    pulumi_mocks.run(lambda: NetworkPolicies("network", args) and None)
    policies = [each.inputs for each in pulumi_mocks.resources if each.custom]
    page, consumer = (
        End(address=IPv4Address(f"10.244.1.{number}"), namespace=NAMESPACE, labels=labels)
        for number, labels in enumerate(kinds.values(), 2)
    )
    provider = End(address=IPv4Address("198.51.100.40"))
    assert {port for port in (80, 443, 8443, 9200) if allowed(policies, page, provider, port)} == ports
    for port in (443, 8443):
        assert not allowed(policies, consumer, provider, port)
        assert not any(allowed(policies, page, inside, port) for inside in (ELSEWHERE, SERVICE))


def test_what_keeps_the_page_s_certificate_reaches_its_server_and_name_servers_and_no_pod(pulumi_mocks: Any) -> None:
    args = NetworkPoliciesArgs(
        namespace=NAMESPACE,
        pods={"ui": {"app.kubernetes.io/name": "ui"}},
        acme=acme.NAMESPACE,
        acme_ports=(443, 14000),
        models=[],
        cameras=[],
        cluster=Cluster(name="test", endpoint=IPv4Address("192.0.2.10")),
        transport="plain",
        zookeeper_transport="plain",
        search_transport="plain",
        node_ports=[9300],
    )
    pulumi_mocks.run(lambda: NetworkPolicies("network", args) and None)
    policies = [each.inputs for each in pulumi_mocks.resources if each.custom]
    pod = End(address=IPv4Address("10.244.1.2"), namespace=acme.NAMESPACE, labels=acme.LABELS)
    outside = End(address=IPv4Address("198.51.100.40"))
    assert {port for port in (53, 80, 443, 6443, 8081, 14000) if allowed(policies, pod, outside, port)} == {
        *(53, 443, 14000),
        # An API server may be anywhere.
        6443,
    }
    assert allowed(policies, pod, outside, 53, "UDP") and allowed(policies, pod, DNS, 53, "UDP")
    page = End(address=IPv4Address("10.244.1.3"), namespace=NAMESPACE, labels={"app.kubernetes.io/name": "ui"})
    for inside in (page, ELSEWHERE, SERVICE):
        assert not any(allowed(policies, pod, inside, port) for port in (53, 443, 14000))
    assert allowed(policies, BROWSER, page, 8080)
    assert not any(allowed(policies, other, pod, port) for other in (BROWSER, page) for port in (443, 8080))
    intruder = replace(INTRUDER, namespace=acme.NAMESPACE)
    assert not any(allowed(policies, intruder, outside, port) for port in (53, 443, 6443, 14000))


def test_a_pod_that_nobody_knows_reaches_nobody(stack: Stack) -> None:
    namespaces = {pod.end.namespace for pod in stack.pods.values()}
    assert namespaces == set(NAMESPACES if stack.scales else [NAMESPACE])
    for namespace in namespaces:
        intruder = replace(INTRUDER, namespace=namespace)
        assert stack.reached(intruder) == set()
        reaches = partial(stack.reaches, intruder)
        assert not any(reaches(end, port) for end in (DNS, BROWSER, CAMERA, CONTROL_PLANE) for port in (53, 443, 6443))
        assert not reaches(DNS, 53, "UDP")
        assert not stack.reaches("ui", intruder, 8080)


def test_labels_are_worth_nothing_in_another_namespace(stack: Stack) -> None:
    for kind, pod in stack.pods.items():
        for namespace in {*NAMESPACES, "default"} - {pod.end.namespace}:
            disguised = replace(INTRUDER, namespace=namespace, labels=pod.end.labels)
            # Only a namespace of others lets it out, and then it reaches what is open to all.
            guarded = any(each["metadata"]["namespace"] == namespace for each in stack.policies)
            assert stack.reached(disguised) == (set() if guarded else stack.open), (kind, namespace)


def test_no_rule_could_be_left_out(stack: Stack) -> None:
    def broken(changed: Stack) -> list[str]:
        lost = [f"{c} -> {s}" for c, s, name in stack.needed if not changed.reaches(c, s, changed.port(s, name))]
        others = [
            *((client, DNS, 53, protocol) for client, _, _ in stack.needed for protocol in ("UDP", "TCP")),
            *((client, CONTROL_PLANE, 6443, "TCP") for client in stack.api_clients),
            ("ui", CONTROL_PLANE, KUBELET_PORT, "TCP"),
            *((CONTROL_PLANE, server, stack.port(server, name), "TCP") for server, name in stack.open),
        ]
        cameras = any(changed.reaches("producer", CAMERA, port) for port in (554, 8554))
        return lost + [str(each) for each in others if not changed.reaches(*each)] + ([] if cameras else ["cameras"])

    assert broken(stack) == []
    every = [(number, *rule) for number, policy in enumerate(stack.policies) for rule in rules(policy)]
    assert len(every) > 2 * len(stack.needed)
    assert [rule for rule in every if not broken(stack.without(*rule))] == []


def test_what_refuses_all_comes_last(pulumi_mocks: Any) -> None:
    args = NetworkPoliciesArgs(
        namespace=NAMESPACE,
        pods={"ui": {"app.kubernetes.io/name": "ui"}, "kafka": {"app.kubernetes.io/name": "kafka"}},
        models=[],
        cameras=[],
        cluster=Cluster(name="test", endpoint=IPv4Address("192.0.2.10")),
        transport="plain",
        zookeeper_transport="plain",
        search_transport="plain",
        node_ports=[9300],
    )
    pulumi_mocks.run(lambda: NetworkPolicies("network", args) and None)
    others = {each.name for each in pulumi_mocks.resources if each.custom} - {"network-default"}
    assert pulumi_mocks.named("network-default").depends_on == others
    assert len(others) > 1
