"""`python -m components.pipeline.flows` prints docs/flows.md: who may connect to what, as whom, and what is encrypted.

The connections are those of the network policies; a test fails if the file is stale, or if a port has no `Door`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from components import kubernetes as k
from components.autoscaling import keda, vpa
from components.cluster.kubeadm import API_PORT
from components.markdown import head, row
from components.pipeline import (
    acme,
    audit_log,
    elasticsearch,
    elasticsearch_grants,
    elasticsearch_peers,
    elasticsearch_proxy,
    kafka,
    model_job,
    zookeeper,
)
from components.pipeline.applications import ROLES, pods_of
from components.pipeline.dns import DNS_PORT
from components.pipeline.kafka_grants import SUPER_USERS, Grant, clients_of, grants
from components.pipeline.network_policies import OPEN, OPEN_BY_CONFIG, clients_of_dns, clients_of_the_api, flows

_MODEL: Final = "NAME"
_ANYBODY: Final = "any address"
_NONE: Final = "no"
_APPLICATION: Final = "the application's secret"
_AES: Final = "AES/GCM"
_TOKEN: Final = "the stack's token"
_PODS_TLS: Final = "TLS 1.3; the server shows a certificate of the stack's own CA for pods"
_AMONG_MEMBERS: Final = "with `tls`: certificate of the ensemble's own CA"
_MEMBERS_TLS: Final = "with `prefer` and `tls`: TLS 1.3"
_PROVIDER: Final = "provider of OpenID Connect"
_ACME: Final = "ACME server, and the DNS provider's API"
_NAME_SERVERS: Final = "name servers of the names' zone"
_DRIVER, _EXECUTOR = (pods_of(_MODEL, role) for role in ROLES)

_HEADER: Final = f"""# Who may connect to what

Generated from `components/pipeline/network_policies.py` and `flows.py` beside it by `make docs`; do not edit.

These are all the connections that Argus's network policies allow its pods, in and out; everything else is denied. That
holds where the pods' network enforces policies, which Argus's own does unless the stack says
`argus:cluster.networkPolicies: declared`. Without, every pod reaches every port below.
What a connection is not asked for here, whoever reaches the port can do. [security.md](security.md) says the rest.

Kafka's port 9093, and 2281 of ZooKeeper, is there unless `argus:kafka.transport` is `plain`; 9092, and 2181 of
ZooKeeper, is there unless it is `tls`. Where `argus:zookeeper.transport` is set, that says it of ZooKeeper.
Elasticsearch's port {elasticsearch_proxy.HTTPS} is there unless `argus:elasticsearch.transport` is `plain`;
{elasticsearch.HTTP} is there unless it is `tls`. {elasticsearch_peers.DOOR} is there unless
`argus:elasticsearch.nodeTransport` is `plain`, and {elasticsearch_peers.NODE} unless it is `tls`; unset, that key is
what `argus:elasticsearch.transport` is.
KEDA's and VPA's pods are there where the stack scales by lag or by use, in the namespaces `{keda.NAMESPACE}` and
`{vpa.NAMESPACE}`; `{audit_log.NAMESPACE}` is the namespace of the pods that send the audit log, where
`argus:audit.ship` is on, and `{acme.NAMESPACE}` that of the pod that keeps the page's certificate, where
`argus:ui.acme` is set. All others are in `argus`. Pods are known by their labels and their namespace, so no pod of
`argus` passes for one of KEDA's.

Probes are at ports of their own, {k.PROBE_PORT} of producers, consumers, Filebeat and the page and {k.HTTP_PORT} of a
model's driver; unless `argus:elasticsearch.transport` is `plain`, those of Elasticsearch are at
{elasticsearch_proxy.PROBES}. They are in plain, ask nobody who he is, and say whether a pod is well and nothing else.
Metrics of the same pods and drivers are at {k.METRICS_PORT}, over TLS 1.3, for who shows the token for them.
No policy lets anybody in but the page to Filebeat's metrics; Kubernetes lets in the kubelet of the pod's machine.
"""


_GRANTS: Final = """
## What each client may do in Kafka

At port 9093, by the name in its certificate; `NAME` stands for a model. What is not here is denied with
`argus:kafka.transport: tls`; with `prefer`, what concerns a topic or group of this table.
To read from a group is to read its offsets and commit them. Each client has a quota (`argus:kafka.quotas`), but the
last two.
"""

_SEARCH_GRANTS: Final = f"""
## What each client may do in Elasticsearch

At port {elasticsearch_proxy.HTTPS}, by the name in its certificate; `NAME` stands for a model and `DAY` for a day. What
is not here is denied there ([ADR 48](adr/0048-elasticsearch-knows-its-clients.md)). `{elasticsearch_grants.BULK}` is
judged line by line, and a search may not read another index by its body.
"""

_FLOWS: Final = flows([_MODEL], "both", "both", "both", (elasticsearch_peers.NODE, elasticsearch_peers.DOOR))
"""Every connection of any stack."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """What is behind a port, and what it asks of whoever connects."""

    serves: str
    identity: str = _NONE
    """How the client shows who it is."""
    encrypted: str = _NONE


DOORS: Final[Mapping[tuple[str, int], Door]] = {
    ("zookeeper", zookeeper.CLIENT): Door(serves="Kafka's metadata and rules"),
    ("zookeeper", zookeeper.SECURE_CLIENT): Door(
        serves="the same", identity="client certificate of the stack's own CA for ZooKeeper", encrypted="TLS 1.3"
    ),
    ("zookeeper", zookeeper.QUORUM): Door(serves="replication", identity=_AMONG_MEMBERS, encrypted=_MEMBERS_TLS),
    ("zookeeper", zookeeper.ELECTION): Door(serves="election", identity=_AMONG_MEMBERS, encrypted=_MEMBERS_TLS),
    ("kafka", kafka.PORT): Door(serves="frames, results, offsets; between brokers, replication"),
    ("kafka", kafka.TLS_PORT): Door(
        serves="the same, as the table below allows",
        identity="client certificate of the stack's own CA for Kafka",
        encrypted="TLS 1.3",
    ),
    ("kafka", kafka.OUTSIDE_PORT): Door(
        serves="the same for clients outside, each as `argus:kafka.outside.clients` allows; there where that is set",
        identity="client certificate of the stack's own CA for Kafka",
        encrypted="TLS 1.3",
    ),
    ("elasticsearch", elasticsearch.HTTP): Door(serves="results: search, write, delete"),
    ("elasticsearch", elasticsearch_proxy.HTTPS): Door(
        serves="the same, as the last table below allows",
        identity="client certificate of the stack's own CA for Elasticsearch",
        encrypted="TLS 1.3",
    ),
    ("elasticsearch", elasticsearch_peers.NODE): Door(serves="replication and election"),
    ("elasticsearch", elasticsearch_peers.DOOR): Door(
        serves="the same",
        identity="client certificate of the stack's own CA for Elasticsearch's nodes",
        encrypted="TLS 1.3",
    ),
    (_DRIVER, model_job.DRIVER_PORT): Door(serves="Spark's tasks", identity=_APPLICATION, encrypted=_AES),
    (_DRIVER, model_job.BLOCK_PORT): Door(serves="Spark's blocks", identity=_APPLICATION, encrypted=_AES),
    (_EXECUTOR, model_job.BLOCK_PORT): Door(serves="Spark's blocks", identity=_APPLICATION, encrypted=_AES),
    ("producer", k.HTTP_PORT): Door(
        serves="state of the cameras; between producers, handover of cameras", identity=_TOKEN, encrypted=_PODS_TLS
    ),
    ("consumer", k.HTTP_PORT): Door(
        serves="stored pictures and results; for the comparison, records to store again",
        identity=_TOKEN,
        encrypted=_PODS_TLS,
    ),
    ("filebeat", k.METRICS_PORT): Door(
        serves="metrics", identity="the token for metrics", encrypted=f"{_PODS_TLS}, one for all metrics"
    ),
    ("keda-operator", keda.METRICS_PORT): Door(
        serves="lag of the groups", identity="client certificate of KEDA's own CA", encrypted="TLS"
    ),
    ("keda-adapter", keda.ADAPTER_PORT): Door(
        serves="the API servers' external metrics",
        identity="client certificate of an API server, or a token that one confirms",
        encrypted="TLS",
    ),
    ("vpa-admission-controller", vpa.WEBHOOK_PORT): Door(serves="sizes of new pods", encrypted="TLS"),
    ("ui", k.HTTP_PORT): Door(
        serves="the page and its API",
        identity="session by a password or OpenID Connect, or token; each with a role and groups of cameras",
        encrypted="TLS, unless `argus:ui.tls` is off",
    ),
}
"""By server and port."""

_OUTSIDE: Final[Mapping[str, Door]] = {
    "API servers": Door(serves="the Kubernetes API", identity="service account's token", encrypted="TLS 1.3"),
    "CoreDNS": Door(serves="names of services"),
    "cameras": Door(
        serves="pictures", identity="the camera's login, where the stack gives one", encrypted="as its URL says"
    ),
    _PROVIDER: Door(
        serves="who somebody is, where `argus:access.openIdConnect` is set",
        identity="the page's client secret",
        encrypted="TLS, its certificate checked",
    ),
    _ACME: Door(
        serves="the page's certificate, where `argus:ui.acme` is set; the records that show whose names they are",
        identity="the account's key; the provider's login",
        encrypted="TLS, its certificate checked; the provider's as lego has it",
    ),
    _NAME_SERVERS: Door(
        serves="the same records: whether they are there; with `dnsProvider: dnsupdate`, making them",
        identity="for updates: TSIG, where the stack gives its key",
    ),
}


def page() -> str:
    """The whole page as Markdown."""
    columns = ("from", "to", "port", "what is there", "asks who it is", "encrypted")
    return "\n".join(
        [
            *(_HEADER, *head(columns)),
            *(*_inside(), *_open(), *_outside(), *_grants(), *_search_grants(), ""),
        ]
    )


def _inside() -> Iterator[str]:
    found: dict[tuple[str, int], list[str]] = {}
    for flow in _FLOWS:
        for port in flow.ports:
            found.setdefault((flow.server, port), []).append(flow.client)
    for (server, port), clients in found.items():
        yield _line(", ".join(clients), server, str(port), DOORS[server, port])


def _open() -> Iterator[str]:
    for server, port in (OPEN | OPEN_BY_CONFIG).items():
        yield _line(_ANYBODY, server, str(port), DOORS[server, port])


def _outside() -> Iterator[str]:
    yield _line(", ".join(clients_of_the_api([_MODEL])), "API servers", str(API_PORT), _OUTSIDE["API servers"])
    kinds = dict.fromkeys([*(kind for flow in _FLOWS for kind in (flow.client, flow.server)), "acme"])
    yield _line(", ".join(clients_of_dns(kinds)), "CoreDNS", f"{DNS_PORT} (UDP, TCP)", _OUTSIDE["CoreDNS"])
    ports = "the ports of the cameras' URLs; for `transport: udp` also UDP from 1024"
    yield _line("producer", "cameras", ports, _OUTSIDE["cameras"])
    yield _line("ui", _PROVIDER, "the port of `argus:access.openIdConnect.issuer`", _OUTSIDE[_PROVIDER])
    yield _line("acme", _ACME, "443, and those of `argus:ui.acme.server` and `ports`", _OUTSIDE[_ACME])
    yield _line("acme", _NAME_SERVERS, f"{DNS_PORT} (UDP, TCP)", _OUTSIDE[_NAME_SERVERS])


def _grants() -> Iterator[str]:
    yield _GRANTS
    columns = ("client", "reads", "writes", "learns how far it is")
    yield from head(columns)
    granted = grants({_MODEL: [_MODEL]})
    for client in clients_of(granted):
        own = [grant for grant in granted if grant.client == client]
        yield row([client, *(", ".join(_things(own, each)) for each in ("read", "write", "describe"))])
    yield row([", ".join(SUPER_USERS), "everything", "everything", "everything"])


def _search_grants() -> Iterator[str]:
    yield _SEARCH_GRANTS
    columns = ("client", "request", "of what")
    yield from head(columns)
    for client in elasticsearch_grants.CLIENTS:
        for number, (verb, what) in enumerate(elasticsearch_grants.said_of(client)):
            yield row(["" if number else client, verb, what])


def _things(granted: Iterable[Grant], operation: str) -> Iterator[str]:
    return (f"{each.resource} `{each.name}`" for each in granted if each.operation == operation)


def _line(clients: str, server: str, port: str, door: Door) -> str:
    return row((clients, server, port, door.serves, door.identity, door.encrypted))


if __name__ == "__main__":
    print(page(), end="")
