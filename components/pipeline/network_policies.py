"""The connections allowed to the pipeline's pods and their autoscalers: one table, and the NetworkPolicies of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import meta, networking

from components import kubernetes as k
from components.autoscaling import keda, vpa
from components.cluster.kubeadm import API_PORT, KUBELET_PORT
from components.config import Settings, sections
from components.pipeline import acme, audit_log, elasticsearch, kafka, model_job, producers, zookeeper
from components.pipeline.applications import ROLES, pods_of
from components.pipeline.dns import DNS_PORT, NAMESPACE_NAME, dns_rule
from components.pipeline.elasticsearch_grants import RETENTION, TEMPLATE
from components.pipeline.stage import Labels, Stage

_DNS_UDP: Final = networking.v1.NetworkPolicyPortArgs(port=DNS_PORT, protocol="UDP")
_UNPRIVILEGED_UDP: Final = networking.v1.NetworkPolicyPortArgs(port=1024, end_port=65535, protocol="UDP")

_KEDA: Final[dict[str, Labels]] = {
    "keda-operator": keda.OPERATOR_LABELS,
    "keda-adapter": keda.ADAPTER_LABELS,
}
_VPA: Final[dict[str, Labels]] = {
    "vpa-recommender": vpa.RECOMMENDER_LABELS,
    "vpa-updater": vpa.UPDATER_LABELS,
    "vpa-admission-controller": vpa.ADMISSION_LABELS,
}
_ACME: Final[dict[str, Labels]] = {"acme": acme.LABELS}
_AUDIT: Final[dict[str, Labels]] = {audit_log.NAMESPACE: audit_log.LABELS}

ELSEWHERE: Final[Mapping[str, str]] = {
    kind: namespace
    for namespace, kinds in (
        (keda.NAMESPACE, _KEDA),
        (vpa.NAMESPACE, _VPA),
        (acme.NAMESPACE, _ACME),
        (audit_log.NAMESPACE, _AUDIT),
    )
    for kind in kinds
}
"""The namespace of each kind of pod that is not in the pipeline's."""

OPEN: Final[dict[str, int]] = {
    "ui": k.HTTP_PORT,
    "keda-adapter": keda.ADAPTER_PORT,
    "vpa-admission-controller": vpa.WEBHOOK_PORT,
}
"""The port of each kind of pod that every address may connect to: the page's NodePort, whose clients have the address
of any machine or browser, and what API servers connect to from the host network."""

OPEN_BY_CONFIG: Final[dict[str, int]] = {"kafka": kafka.OUTSIDE_PORT}
"""The same where the stack has `argus:kafka.outside`."""


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """Arguments of NetworkPolicies: the kinds of pods, and the parts of the stack that determine their connections."""

    namespace: pulumi.Input[str]
    pods: Mapping[str, Labels]
    """The kinds of pods in that namespace."""
    keda: pulumi.Input[str] | None = None
    """KEDA's namespace, where the stack has one."""
    vpa: pulumi.Input[str] | None = None
    """VPA's namespace, where the stack has one."""
    acme: pulumi.Input[str] | None = None
    """The namespace of what keeps the page's certificate of an ACME server, where the stack names one."""
    acme_ports: Sequence[int] = ()
    """The TCP ports of that server and of the DNS provider."""
    models: Sequence[str]
    cameras: Sequence[sections.Camera]
    cluster: sections.Cluster
    """Its pod and service networks contain no cameras."""
    transport: sections.Transport
    """How Kafka's clients connect, which says at which ports."""
    zookeeper_transport: sections.Transport
    """The same of ZooKeeper's."""
    search_transport: sections.SearchTransport
    """The same of Elasticsearch's."""
    node_ports: Iterable[int]
    """The ports at which Elasticsearch's nodes answer each other."""
    kafka_outside: bool = False
    """Whether Kafka has clients outside the cluster."""
    audit: bool = False
    """Whether the audit log is sent to Elasticsearch."""
    open_id_connect: sections.OpenIdConnect | None = None
    """The provider by which people log in, which the page asks."""


@dataclass(frozen=True)
class Flow:
    """Pods of one kind open TCP connections to pods of another kind, or of the same kind."""

    client: str
    server: str
    ports: tuple[int, ...]


def pods(settings: Settings, stages: Sequence[Stage]) -> dict[str, Labels]:
    """The labels of each kind of pod in the pipeline's namespace, by the name of its policy."""
    return {name: labels for stage in stages for name, labels in stage.pods_of(settings).items()}


def flows(
    models: Sequence[str],
    transport: sections.Transport,
    zookeeper_transport: sections.Transport,
    search_transport: sections.SearchTransport,
    node_ports: Iterable[int],
) -> list[Flow]:
    """Every connection between pods that is allowed, if the stack has both kinds of pods.

    What clients of Kafka and of Elasticsearch may do there is in the tables of kafka_grants.py and
    elasticsearch_grants.py.
    """
    spark = [pods_of(model, role) for model in models for role in ROLES]
    brokers_clients = (
        "kafka",
        "topics",
        "producer",
        *spark,
        "consumer",
        "filebeat",
        "comparison",
        "ui",
        "keda-operator",
    )
    search_clients = (TEMPLATE, RETENTION, "filebeat", "comparison", "ui", audit_log.NAMESPACE)
    search_ports, between_nodes = tuple(elasticsearch.ports(search_transport).values()), tuple(node_ports)
    return [
        Flow("zookeeper", "zookeeper", (zookeeper.QUORUM, zookeeper.ELECTION)),
        Flow("kafka", "zookeeper", zookeeper.client_ports(zookeeper_transport)),
        *(Flow(client, "kafka", tuple(kafka.ports(transport).values())) for client in brokers_clients),
        # A flow without ports would be one to all ports.
        *([Flow("elasticsearch", "elasticsearch", between_nodes)] if between_nodes else []),
        *(Flow(client, "elasticsearch", search_ports) for client in search_clients),
        *(flow for model in models for flow in _spark(model)),
        *(Flow("ui", server, (k.HTTP_PORT,)) for server in ("producer", "consumer")),
        Flow("comparison", "consumer", (k.HTTP_PORT,)),
        # Its counts of events that the index refused.
        Flow("ui", "filebeat", (k.METRICS_PORT,)),
        Flow("producer", "producer", (k.HTTP_PORT,)),
        Flow("keda-adapter", "keda-operator", (keda.METRICS_PORT,)),
    ]


def clients_of_the_api(models: Sequence[str]) -> list[str]:
    """The kinds of pods that connect to the API servers."""
    return [*(pods_of(model, "driver") for model in models), *_KEDA, *_VPA, *_ACME, "ui"]


def clients_of_dns(kinds: Iterable[str]) -> list[str]:
    """Those of these kinds of pods that find servers by name. VPA's connect only to the API server, whose address every
    pod gets in its environment."""
    return [kind for kind in kinds if kind not in _VPA]


class NetworkPolicies(pulumi.ComponentResource):
    """One policy per kind of pod that allows exactly the connections it needs, and one per namespace that denies
    everything else.

    The pod network must enforce the policies. Argus's own does so if `argus:cluster.networkPolicies` asks for it
    (components/cluster/policy_agent.py); else every pod of the cluster reaches every other. `argus:cluster.network`
    selects another network, such as Calico or Cilium.

    Kubernetes always allows connections from the kubelet of a pod's node, so probes need no policy here. Who reads
    metrics is the stack's user's, whose own policy allows it.
    A policy takes effect as soon as it exists. So each is complete by itself, and those that deny are made last.
    """

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:NetworkPolicies", name, None, opts)
        guarded: dict[str, tuple[pulumi.Input[str], Mapping[str, Labels]]] = {
            f"{name}-default": (args.namespace, args.pods)
        }
        if args.keda is not None:
            guarded[f"{name}-default-keda"] = (args.keda, _KEDA)
        if args.vpa is not None:
            guarded[f"{name}-default-vpa"] = (args.vpa, _VPA)
        if args.acme is not None:
            guarded[f"{name}-default-acme"] = (args.acme, _ACME)
        kinds = {kind: labels for _, there in guarded.values() for kind, labels in there.items()}
        clients = kinds | (_AUDIT if args.audit else {})
        needed = [
            flow
            for flow in flows(
                args.models, args.transport, args.zookeeper_transport, args.search_transport, args.node_ports
            )
            if flow.client in clients and flow.server in kinds
        ]
        policies = [
            networking.v1.NetworkPolicy(
                f"{name}-{kind}",
                metadata=k.metadata(kind, namespace, labels),
                spec=networking.v1.NetworkPolicySpecArgs(
                    pod_selector=k.selector(labels),
                    policy_types=["Ingress", "Egress"],
                    ingress=[*_ingress(kind, needed, clients, args.namespace), *_from_anywhere(kind, args)],
                    egress=[*_egress(kind, needed, kinds, args.namespace), *_to_the_outside(kind, args)],
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for namespace, there in guarded.values()
            for kind, labels in there.items()
        ]
        for resource, (namespace, _) in guarded.items():
            networking.v1.NetworkPolicy(
                resource,
                metadata=k.metadata("default-deny", namespace, k.labels("default-deny", "network")),
                spec=networking.v1.NetworkPolicySpecArgs(
                    pod_selector=meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
                ),
                opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
            )
        self.register_outputs({})


def _spark(model: str) -> Iterator[Flow]:
    """Executors connect to the driver for tasks, and both kinds connect to each other for blocks."""
    driver, executor = (pods_of(model, role) for role in ROLES)
    yield Flow(executor, driver, (model_job.DRIVER_PORT, model_job.BLOCK_PORT))
    yield Flow(driver, executor, (model_job.BLOCK_PORT,))
    yield Flow(executor, executor, (model_job.BLOCK_PORT,))


def _ingress(
    kind: str, needed: Sequence[Flow], clients: Mapping[str, Labels], pipelines: pulumi.Input[str]
) -> Iterator[networking.v1.NetworkPolicyIngressRuleArgs]:
    for flow in needed:
        if flow.server == kind:
            peer = _peer(flow.client, clients[flow.client], kind, pipelines)
            yield networking.v1.NetworkPolicyIngressRuleArgs(from_=[peer], ports=_tcp(flow.ports))


def _egress(
    kind: str, needed: Sequence[Flow], servers: Mapping[str, Labels], pipelines: pulumi.Input[str]
) -> Iterator[networking.v1.NetworkPolicyEgressRuleArgs]:
    for flow in needed:
        if flow.client == kind:
            peer = _peer(flow.server, servers[flow.server], kind, pipelines)
            yield networking.v1.NetworkPolicyEgressRuleArgs(to=[peer], ports=_tcp(flow.ports))
    if clients_of_dns([kind]):
        yield dns_rule()


def _from_anywhere(kind: str, args: NetworkPoliciesArgs) -> Iterator[networking.v1.NetworkPolicyIngressRuleArgs]:
    there = OPEN | (OPEN_BY_CONFIG if args.kafka_outside else {})
    if kind in there:
        yield networking.v1.NetworkPolicyIngressRuleArgs(ports=_tcp((there[kind],)))


def _to_the_outside(kind: str, args: NetworkPoliciesArgs) -> Iterator[networking.v1.NetworkPolicyEgressRuleArgs]:
    own = (args.cluster.pod_network, args.cluster.service_network)
    outside = networking.v1.IPBlockArgs(cidr="0.0.0.0/0", except_=[str(each) for each in own])
    there = [networking.v1.NetworkPolicyPeerArgs(ip_block=outside)]
    if kind == "producer" and (ports := producers.camera_ports(camera.url for camera in args.cameras)):
        yield networking.v1.NetworkPolicyEgressRuleArgs(to=there, ports=_tcp(ports))
        if any(camera.transport == "udp" for camera in args.cameras):
            # A camera chooses the ports at which it expects the producer's reports.
            yield networking.v1.NetworkPolicyEgressRuleArgs(to=there, ports=[_UNPRIVILEGED_UDP])
    if kind in clients_of_the_api(args.models):
        # To any address, because some networks (Cilium by default) do not match nodes by address.
        yield networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp((API_PORT,)))
    if kind in _ACME:
        # The name servers of the zone are asked whether they have the record, or are sent it.
        yield networking.v1.NetworkPolicyEgressRuleArgs(to=there, ports=[*_tcp((*args.acme_ports, DNS_PORT)), _DNS_UDP])
    if kind == "ui":
        # The page asks kubelets how full their disks are.
        yield networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp((KUBELET_PORT,)))
        if args.open_id_connect is not None:
            yield networking.v1.NetworkPolicyEgressRuleArgs(to=there, ports=_tcp((args.open_id_connect.port,)))


def _peer(kind: str, labels: Labels, seen_by: str, pipelines: pulumi.Input[str]) -> networking.v1.NetworkPolicyPeerArgs:
    """The pods of a kind, as the policy of another kind names them: with their namespace where that is another one."""
    if ELSEWHERE.get(kind) == ELSEWHERE.get(seen_by):
        return networking.v1.NetworkPolicyPeerArgs(pod_selector=k.selector(labels))
    return networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=meta.v1.LabelSelectorArgs(match_labels={NAMESPACE_NAME: ELSEWHERE.get(kind, pipelines)}),
        pod_selector=k.selector(labels),
    )


def _tcp(ports: Sequence[int]) -> list[networking.v1.NetworkPolicyPortArgs]:
    return [networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]
