"""Evaluates NetworkPolicies (networking.k8s.io/v1); unknown fields are mistakes.

A connection must be allowed at both ends: its client's egress and its server's ingress. A pod that no policy selects in
a direction is open in it; otherwise any rule of any of its policies must match. The kubelet of a pod's own node is
always allowed, so it is not checked here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a connection: a pod with its namespace and labels, or anything else by its address."""

    address: IPv4Address
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


Connection = tuple[End, int, str]
"""From a pod's side: the other end, and the server's port and protocol."""


def allowed(policies: Sequence[Policy], client: End, server: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the policies allow the client to connect to the server."""
    return _passes(policies, "Egress", client, (server, port, protocol)) and _passes(
        policies, "Ingress", server, (client, port, protocol)
    )


def rules(policy: Policy) -> Iterator[tuple[str, int]]:
    """Every rule of a policy as `ingress` or `egress` and its index."""
    for direction in ("ingress", "egress"):
        for index in range(len(policy["spec"].get(direction) or ())):
            yield direction, index


def _passes(policies: Sequence[Policy], direction: str, pod: End, connection: Connection) -> bool:
    if pod.namespace is None:
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and _selects(policy["spec"]["podSelector"], pod.labels)
        and direction in _types(policy["spec"])
    ]
    return not selecting or any(
        _fits(rule, "from" if direction == "Ingress" else "to", pod.namespace, connection)
        for spec in selecting
        for rule in spec.get(direction.lower()) or ()
    )


def _types(spec: Mapping[str, Any]) -> Sequence[str]:
    _known(spec, "podSelector", "policyTypes", "ingress", "egress")
    types: Sequence[str] = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return types


def _fits(rule: Mapping[str, Any], peers: str, namespace: str, connection: Connection) -> bool:
    peer, port, protocol = connection
    _known(rule, peers, "ports")
    by_peer = not rule.get(peers) or any(_is(each, namespace, peer) for each in rule[peers])
    by_port = not rule.get("ports") or any(_at(each, port, protocol) for each in rule["ports"])
    return by_peer and by_port


def _is(described: Mapping[str, Any], namespace: str, peer: End) -> bool:
    _known(described, "ipBlock", "namespaceSelector", "podSelector")
    if block := described.get("ipBlock"):
        _known(block, "cidr", "except")
        outside = any(peer.address in IPv4Network(each) for each in block.get("except") or ())
        return peer.address in IPv4Network(block["cidr"]) and not outside
    if peer.namespace is None:
        return False
    there = peer.namespace == namespace
    if (spaces := described.get("namespaceSelector")) is not None:
        there = _selects(spaces, {"kubernetes.io/metadata.name": peer.namespace})
    return there and _selects(described.get("podSelector") or {}, peer.labels)


def _at(described: Mapping[str, Any], port: int, protocol: str) -> bool:
    _known(described, "port", "protocol", "endPort")
    if described.get("protocol", "TCP") != protocol:
        return False
    if "port" not in described:
        return True
    first = described["port"]
    assert isinstance(first, int | float), f"the name of a port, {first}, means another in each pod"
    return first <= port <= described.get("endPort", first)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    _known(selector, "matchLabels", "matchExpressions")
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[operator]


def _known(value: Mapping[str, Any], *fields: str) -> None:
    assert set(value) <= set(fields), f"{sorted(set(value) - set(fields))} in {value}"
