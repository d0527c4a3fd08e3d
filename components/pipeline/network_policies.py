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
from components.config import Settings
from components.pipeline import (
    consumer,
    elasticsearch,
    filebeat,
    kafka,
    model_job,
    producers,
    topics,
    ui,
    zookeeper,
)

DNS_PORT: Final = 53
DNS_NAMESPACE: Final = "kube-system"
DNS_LABELS: Final[Mapping[str, str]] = {"k8s-app": "kube-dns"}
"""Where kubeadm has CoreDNS."""

_KEDA: Final[Mapping[str, dict[str, str]]] = {
    "keda-operator": keda.OPERATOR_LABELS,
    "keda-adapter": keda.ADAPTER_LABELS,
}
_VPA: Final[Mapping[str, dict[str, str]]] = {
    "vpa-recommender": vpa.RECOMMENDER_LABELS,
    "vpa-updater": vpa.UPDATER_LABELS,
    "vpa-admission-controller": vpa.ADMISSION_LABELS,
}


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """Arguments of NetworkPolicies; the two networks are the cluster's own, where no camera is."""

    namespace: pulumi.Input[str]
    models: Sequence[str]
    scales_by_lag: bool
    scales_vertically: bool
    camera_urls: Sequence[str]
    pod_network: str
    service_network: str

    @classmethod
    def from_settings(cls, settings: Settings, *, namespace: pulumi.Input[str]) -> NetworkPoliciesArgs:
        """The policies for the stack's cameras and models."""
        return cls(
            namespace=namespace,
            models=[model.name for model in settings.models],
            scales_by_lag=settings.scales_by_lag,
            scales_vertically=settings.scales_vertically,
            camera_urls=[camera.url for camera in settings.cameras],
            pod_network=str(settings.cluster.pod_network),
            service_network=str(settings.cluster.service_network),
        )


@dataclass(frozen=True)
class Flow:
    """Pods of one kind that open TCP connections to pods of another, or to others of their own."""

    client: str
    server: str
    ports: tuple[int, ...]


def pods(models: Sequence[str], *, scales_by_lag: bool, scales_vertically: bool) -> dict[str, dict[str, str]]:
    """The labels of each kind of pod, by the name of its policy."""
    return {
        "zookeeper": zookeeper.LABELS,
        "kafka": kafka.LABELS,
        "topics": topics.LABELS,
        "elasticsearch": elasticsearch.LABELS,
        "elasticsearch-template": elasticsearch.TEMPLATE_LABELS,
        "elasticsearch-retention": elasticsearch.RETENTION_LABELS,
        "filebeat": filebeat.LABELS,
        "producer": producers.LABELS,
        **{_driver(model): model_job.driver_labels(model) for model in models},
        **{_executor(model): model_job.executor_labels(model) for model in models},
        "consumer": consumer.LABELS,
        "ui": ui.LABELS,
        **(_KEDA if scales_by_lag else {}),
        **(_VPA if scales_vertically else {}),
    }


def flows(models: Sequence[str]) -> list[Flow]:
    """Every connection that the pipeline's pods need, where a stack has both of them. What is not here is refused."""
    spark = [kind(model) for model in models for kind in (_driver, _executor)]
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
        *(flow for model in models for flow in _spark(_driver(model), _executor(model))),
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
        kinds = pods(args.models, scales_by_lag=args.scales_by_lag, scales_vertically=args.scales_vertically)
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


def _driver(model: str) -> str:
    return f"{model_job.job_name(model)}-driver"


def _executor(model: str) -> str:
    return f"{model_job.job_name(model)}-executor"


def _spark(driver: str, executor: str) -> Iterator[Flow]:
    """Tasks and their states go to the driver; blocks go from whoever has one to whoever wants it."""
    yield Flow(executor, driver, (model_job.DRIVER_PORT, model_job.BLOCK_PORT))
    yield Flow(driver, executor, (model_job.BLOCK_PORT,))
    yield Flow(executor, executor, (model_job.BLOCK_PORT,))


def _ingress(
    kind: str, needed: Sequence[Flow], kinds: Mapping[str, Mapping[str, str]]
) -> Iterator[networking.v1.NetworkPolicyIngressRuleArgs]:
    for flow in needed:
        if flow.server == kind:
            yield networking.v1.NetworkPolicyIngressRuleArgs(from_=[_pods(kinds[flow.client])], ports=_tcp(flow.ports))


def _egress(
    kind: str, needed: Sequence[Flow], kinds: Mapping[str, Mapping[str, str]]
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
    if kind == "producer" and (ports := producers.camera_ports(args.camera_urls)):
        outside = networking.v1.IPBlockArgs(cidr="0.0.0.0/0", except_=[args.pod_network, args.service_network])
        yield networking.v1.NetworkPolicyEgressRuleArgs(
            to=[networking.v1.NetworkPolicyPeerArgs(ip_block=outside)], ports=_tcp(ports)
        )
    if kind in (*map(_driver, args.models), *_KEDA, *_VPA, "ui"):
        # To any address: some networks (Cilium's, unless told otherwise) match no node by its address.
        yield networking.v1.NetworkPolicyEgressRuleArgs(ports=_tcp((API_PORT,)))


def _pods(labels: Mapping[str, str]) -> networking.v1.NetworkPolicyPeerArgs:
    return networking.v1.NetworkPolicyPeerArgs(pod_selector=k.selector(labels))


def _tcp(ports: Sequence[int]) -> list[networking.v1.NetworkPolicyPortArgs]:
    return [networking.v1.NetworkPolicyPortArgs(port=port, protocol="TCP") for port in ports]
