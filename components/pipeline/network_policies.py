"""Who may connect to whom in the pipeline's namespace: one table, and the NetworkPolicies that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import meta, networking

from components import kubernetes as k
from components.autoscaling import keda, vpa
from components.cluster.kubeadm import API_PORT
from components.config import Settings, sections
from components.pipeline import elasticsearch, kafka, model_job, producers, zookeeper
from components.pipeline.model_job import ROLES, pods_of
from components.pipeline.stage import Labels, Stage

DNS_PORT: Final = 53
DNS_NAMESPACE: Final = "kube-system"
DNS_LABELS: Final[Mapping[str, str]] = {"k8s-app": "kube-dns"}
"""Where kubeadm has CoreDNS."""

_KEDA: Final[dict[str, Labels]] = {
    "keda-operator": keda.OPERATOR_LABELS,
    "keda-adapter": keda.ADAPTER_LABELS,
}
_VPA: Final[dict[str, Labels]] = {
    "vpa-recommender": vpa.RECOMMENDER_LABELS,
    "vpa-updater": vpa.UPDATER_LABELS,
    "vpa-admission-controller": vpa.ADMISSION_LABELS,
}


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """Arguments of NetworkPolicies: the kinds of pods, and of the stack what says whom they connect to."""

    namespace: pulumi.Input[str]
    pods: Mapping[str, Labels]
    models: Sequence[str]
    cameras: Sequence[sections.Camera]
    cluster: sections.Cluster
    """No camera is on its networks."""


@dataclass(frozen=True)
class Flow:
    """Pods of one kind that open TCP connections to pods of another, or to others of their own."""

    client: str
    server: str
    ports: tuple[int, ...]


def pods(settings: Settings, stages: Sequence[Stage]) -> dict[str, Labels]:
    """The labels of each kind of pod of a stack, by the name of its policy."""
    kinds = {name: labels for stage in stages for name, labels in stage.pods_of(settings).items()}
    return kinds | (_KEDA if settings.scales_by_lag else {}) | (_VPA if settings.scales_vertically else {})


def flows(models: Sequence[str]) -> list[Flow]:
    """Every connection that the pipeline's pods need, where a stack has both of them. What is not here is refused."""
    spark = [pods_of(model, role) for model in models for role in ROLES]
    brokers_clients = (
        "kafka",
        "topics",
        "producer",
        *spark,
        "consumer",
        "filebeat",
        "ui",
        "keda-operator",
    )
    search_clients = ("elasticsearch-template", "elasticsearch-retention", "filebeat", "ui")
    return [
        Flow("zookeeper", "zookeeper", (zookeeper.QUORUM, zookeeper.ELECTION)),
        Flow("kafka", "zookeeper", (zookeeper.CLIENT,)),
        *(Flow(client, "kafka", (kafka.PORT,)) for client in brokers_clients),
        Flow("elasticsearch", "elasticsearch", (elasticsearch.TRANSPORT,)),
        *(Flow(client, "elasticsearch", (elasticsearch.HTTP,)) for client in search_clients),
        *(flow for model in models for flow in _spark(model)),
        *(Flow("ui", server, (k.HTTP_PORT,)) for server in ("producer", "consumer")),
        Flow("producer", "producer", (k.HTTP_PORT,)),
        Flow("keda-adapter", "keda-operator", (keda.METRICS_PORT,)),
    ]


class NetworkPolicies(pulumi.ComponentResource):
    """A policy for each kind of pod, with what it needs and no more, and one that refuses all the rest.

    Kubernetes only keeps them: the cluster's network enforces them, and Argus's own (components/cluster/network.py)
    enforces none. With it, every pod of the cluster reaches every other. A network that enforces them, such as Calico
    or Cilium, comes by `argus:cluster.network`.

    Every pod gets what the kubelet of its own node asks of it, by Kubernetes' own rule; so probes need no policy here.
    A policy holds for a pod as soon as it selects it. So each is whole by itself, and what selects all comes last.
    """

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:NetworkPolicies", name, None, opts)
        kinds = args.pods
        needed = [flow for flow in flows(args.models) if {flow.client, flow.server} <= kinds.keys()]
        policies = [
            networking.v1.NetworkPolicy(
                f"{name}-{kind}",
                metadata=k.metadata(kind, args.namespace, labels),
                spec=networking.v1.NetworkPolicySpecArgs(
                    pod_selector=k.selector(labels),
                    policy_types=["Ingress", "Egress"],
                    ingress=[*_ingress(kind, needed, kinds), *_from_anywhere(kind)],
                    egress=[*_egress(kind, needed, kinds), *_to_the_outside(kind, args)],
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for kind, labels in kinds.items()
        ]
        networking.v1.NetworkPolicy(
            f"{name}-default",
            metadata=k.metadata("default-deny", args.namespace, k.labels("default-deny", "network")),
            spec=networking.v1.NetworkPolicySpecArgs(
                pod_selector=meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )
        self.register_outputs({})


def _spark(model: str) -> Iterator[Flow]:
    """Tasks and their states go to the driver; blocks go to the driver or executor that asks for them."""
    driver, executor = (pods_of(model, role) for role in ROLES)
    yield Flow(executor, driver, (model_job.DRIVER_PORT, model_job.BLOCK_PORT))
    yield Flow(driver, executor, (model_job.BLOCK_PORT,))
    yield Flow(executor, executor, (model_job.BLOCK_PORT,))


def _ingress(
    kind: str, needed: Sequence[Flow], kinds: Mapping[str, Labels]
) -> Iterator[networking.v1.NetworkPolicyIngressRuleArgs]:
    for flow in needed:
        if flow.server == kind:
            yield networking.v1.NetworkPolicyIngressRuleArgs(from_=[_pods(kinds[flow.client])], ports=_tcp(flow.ports))


def _egress(
    kind: str, needed: Sequence[Flow], kinds: Mapping[str, Labels]
) -> Iterator[networking.v1.NetworkPolicyEgressRuleArgs]:
    for flow in needed:
        if flow.client == kind:
            yield networking.v1.NetworkPolicyEgressRuleArgs(to=[_pods(kinds[flow.server])], ports=_tcp(flow.ports))
    if kind in _VPA:
        # They ask the API server alone, whose address every pod is told.
        return
    # Whoever connects to somebody finds them by name.
    dns = networking.v1.NetworkPolicyPeerArgs(
        namespace_selector=k.selector({"kubernetes.io/metadata.name": DNS_NAMESPACE}),
        pod_selector=k.selector(DNS_LABELS),
    )
    ports = [networking.v1.NetworkPolicyPortArgs(port=DNS_PORT, protocol=protocol) for protocol in ("UDP", "TCP")]
    yield networking.v1.NetworkPolicyEgressRuleArgs(to=[dns], ports=ports)


def _from_anywhere(kind: str) -> Iterator[networking.v1.NetworkPolicyIngressRuleArgs]:
    """The page is for everybody: its NodePort's connections come with the address of any machine or browser. And an
    API server asks from its machine."""
    ports = {
        "ui": k.HTTP_PORT,
        "keda-adapter": keda.ADAPTER_PORT,
        "vpa-admission-controller": vpa.WEBHOOK_PORT,
    }
    if kind in ports:
        yield networking.v1.NetworkPolicyIngressRuleArgs(ports=_tcp((ports[kind],)))


def _to_the_outside(kind: str, args: NetworkPoliciesArgs) -> Iterator[networking.v1.NetworkPolicyEgressRuleArgs]:
    if kind == "producer" and (ports := producers.camera_ports(camera.url for camera in args.cameras)):
        own = (args.cluster.pod_network, args.cluster.service_network)
        outside = networking.v1.IPBlockArgs(cidr="0.0.0.0/0", except_=[str(each) for each in own])
        yield networking.v1.NetworkPolicyEgressRuleArgs(
            to=[networking.v1.NetworkPolicyPeerArgs(ip_block=outside)], ports=_tcp(ports)
        )
    if kind in (*(pods_of(model, "driver") for model in args.models), *_KEDA, *_VPA, "ui"):
        # To any address: some networks (Cilium's, unless told otherwise) match no node by its address.
        yield networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp((API_PORT,)))


def _pods(labels: Labels) -> networking.v1.NetworkPolicyPeerArgs:
    return networking.v1.NetworkPolicyPeerArgs(pod_selector=k.selector(labels))


def _tcp(ports: Sequence[int]) -> list[networking.v1.NetworkPolicyPortArgs]:
    return [networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]
