"""Tests the tests' own evaluation of NetworkPolicies on small examples."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.unit.components.network_policy import End, Policy, allowed

CLIENT = End(address=IPv4Address("10.1.0.1"), namespace="a", labels={"app": "client", "tier": "front"})
SERVER = End(address=IPv4Address("10.1.0.2"), namespace="a", labels={"app": "server"})
OTHER = End(address=IPv4Address("10.1.0.3"), namespace="b", labels={"app": "client"})
OUTSIDE = End(address=IPv4Address("192.0.2.1"))


def policy(**spec: Any) -> Policy:
    return {"metadata": {"namespace": "a"}, "spec": {"podSelector": {"matchLabels": {"app": "server"}}, **spec}}


def ingress(*rules: dict[str, Any]) -> Policy:
    return policy(policyTypes=["Ingress"], ingress=list(rules))


def from_pods(**selector: Any) -> dict[str, Any]:
    return {"from": [{"podSelector": selector}]}


def where(key: str, operator: str, *values: str) -> dict[str, Any]:
    return from_pods(matchExpressions=[{"key": key, "operator": operator, "values": list(values)}])


NOBODY = ingress()
FROM_CLIENT = ingress(from_pods(matchLabels={"app": "client"}))
NOTHING_OUT = {"metadata": {"namespace": "a"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
HTTP = {"port": 80, "protocol": "TCP"}
RANGE = {"port": 8000, "endPort": 8010}
ANY_SPACE: dict[str, Any] = {"namespaceSelector": {}}
SPACE_B = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "b"}}}
OWN_OUT = policy(podSelector={}, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}])
BLOCK = {"ipBlock": {"cidr": "192.0.0.0/8", "except": ["192.0.3.0/24"]}}


@pytest.mark.parametrize(
    ("policies", "client", "port", "expected"),
    [
        ([], CLIENT, 80, True),
        ([NOBODY], CLIENT, 80, False),
        ([{**NOBODY, "metadata": {"namespace": "b"}}], CLIENT, 80, True),
        ([{"metadata": {"namespace": "a"}, "spec": {"podSelector": {"matchLabels": {"app": "x"}}}}], CLIENT, 80, True),
        ([ingress({})], OTHER, 80, True),
        ([ingress({"from": [], "ports": []})], OUTSIDE, 80, True),
        ([FROM_CLIENT], CLIENT, 80, True),
        ([FROM_CLIENT], OTHER, 80, False),
        ([FROM_CLIENT], OUTSIDE, 80, False),
        ([NOBODY, FROM_CLIENT], CLIENT, 80, True),
        ([ingress({"from": [ANY_SPACE]})], OTHER, 80, True),
        ([ingress({"from": [ANY_SPACE]})], OUTSIDE, 80, False),
        ([ingress({"from": [{**ANY_SPACE, "podSelector": {"matchLabels": {"app": "x"}}}]})], OTHER, 80, False),
        ([ingress({"from": [SPACE_B]})], OTHER, 80, True),
        ([ingress({"from": [SPACE_B]})], CLIENT, 80, False),
        ([ingress(where("tier", "Exists"))], CLIENT, 80, True),
        ([ingress(where("tier", "DoesNotExist"))], CLIENT, 80, False),
        ([ingress(where("app", "In", "x"))], CLIENT, 80, False),
        ([ingress(where("app", "NotIn", "x"))], CLIENT, 80, True),
        ([ingress({"ports": [HTTP]})], CLIENT, 80, True),
        ([ingress({"ports": [HTTP]})], CLIENT, 81, False),
        ([ingress({"ports": [{**HTTP, "protocol": "UDP"}]})], CLIENT, 80, False),
        ([ingress({"ports": [RANGE]})], CLIENT, 8010, True),
        ([ingress({"ports": [RANGE]})], CLIENT, 8011, False),
        ([ingress({"ports": [{"protocol": "TCP"}]})], CLIENT, 80, True),
        ([ingress({**from_pods(matchLabels={"app": "x"}), "ports": [HTTP]})], CLIENT, 80, False),
        ([ingress({"from": [BLOCK]})], OUTSIDE, 80, True),
        ([ingress({"from": [BLOCK]})], End(address=IPv4Address("192.0.3.1")), 80, False),
        ([ingress({"from": [BLOCK]})], End(address=IPv4Address("198.51.100.1")), 80, False),
        ([NOTHING_OUT], CLIENT, 80, False),
        ([NOTHING_OUT], OTHER, 80, True),
        ([NOTHING_OUT, OWN_OUT], CLIENT, 80, True),
        # Without types: Ingress always, Egress if there are rules for it.
        ([policy(egress=[{}])], CLIENT, 80, False),
        ([policy(podSelector={}, ingress=[{}])], CLIENT, 80, True),
    ],
)
def test_what_a_policy_means(policies: list[Policy], client: End, port: int, expected: bool) -> None:
    assert allowed(policies, client, SERVER, port) is expected


@pytest.mark.parametrize(
    "rule",
    [
        {"form": []},
        {"from": [{"podSelctor": {}}]},
        {"from": [{"podSelector": {"matchLabel": {}}}]},
        {"ports": [{"prot": 1}]},
        {"ports": [{"port": "http"}]},
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "but": []}}]},
    ],
)
def test_a_field_that_it_does_not_know_is_a_mistake(rule: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        allowed([ingress(rule)], CLIENT, SERVER, 80)
