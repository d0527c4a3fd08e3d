"""The pipeline's policies at a real API server, made by the component through the plugin."""

from typing import Any

from components.autoscaling import keda, vpa
from components.config.sections import Model, Settings
from components.pipeline.network_policies import pods
from components.pipeline.stages import STAGES
from lab.config import ROOT
from tests.integration.providers.conftest import ApiServer, Project

PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import pulumi
    import pulumi_kubernetes as kubernetes
    from components import kubernetes as k
    from components.autoscaling import keda, vpa
    from components.config.sections import Camera, Cluster
    from components.pipeline.namespace import Namespace, NamespaceArgs
    from components.pipeline.network_policies import NetworkPolicies, NetworkPoliciesArgs
    provider = kubernetes.Provider("cluster", kubeconfig={kubeconfig!r})
    opts = pulumi.ResourceOptions(providers={{"kubernetes": provider}})
    namespace = Namespace("argus", NamespaceArgs(kubernetes_version="1.36.1", name="guarded"), opts).name
    keda, vpa = (
        k.namespace(each.NAMESPACE, each.NAMESPACE, "1.36.1", pulumi.ResourceOptions(provider=provider))
        for each in (keda, vpa)
    )
    NetworkPolicies("policies", NetworkPoliciesArgs(namespace=namespace, pods={pods!r}, models={models!r},
        keda=keda, vpa=vpa, cameras=[Camera(name="gate", url=url) for url in {urls!r}],
        cluster=Cluster(name="test", endpoint="192.0.2.10"), transport="plain", zookeeper_transport="plain",
        search_transport="plain", node_ports=[9300]), opts)
"""
MODELS = ["objects", "motion"]
PODS = pods(
    # No more of the settings is asked for.
    Settings.model_construct(models=tuple(Model.model_validate({"name": name, "kind": name}) for name in MODELS)),  # type: ignore[call-arg]
    STAGES,
)


def test_the_api_server_takes_every_policy_as_it_is(project: Project, api_server: ApiServer) -> None:
    def declare(urls: list[str]) -> None:
        text = PROGRAM.format(
            root=str(ROOT), kubeconfig=str(api_server.kubeconfig), pods=PODS, models=MODELS, urls=urls
        )
        project.program(text)

    declare(["rtsp://198.51.100.31/1"])
    project.up()
    assert project.changes() == {}

    def live(namespace: str) -> dict[str, Any]:
        found = api_server.get("networkpolicy", "-n", namespace)["items"]
        return {each["metadata"]["name"]: each["spec"] for each in found}

    everywhere = {
        "guarded": set(PODS),
        keda.NAMESPACE: {"keda-operator", "keda-adapter"},
        vpa.NAMESPACE: {"vpa-recommender", "vpa-updater", "vpa-admission-controller"},
    }
    for namespace, kinds in everywhere.items():
        assert live(namespace).keys() == {*kinds, "default-deny"}
        assert live(namespace)["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    clients = [peer for rule in live("guarded")["kafka"]["ingress"] for peer in rule["from"]]
    own = {"matchLabels": {"kubernetes.io/metadata.name": keda.NAMESPACE}}
    assert [each["podSelector"]["matchLabels"] for each in clients if each.get("namespaceSelector") == own] == [
        keda.OPERATOR_LABELS
    ]
    assert _outside(live("guarded")) == {("0.0.0.0/0", 554)}

    declare(["rtsp://198.51.100.31:8554/1"])
    assert project.changes() == {"update": 1}
    project.up()
    assert _outside(live("guarded")) == {("0.0.0.0/0", 8554)}


def _outside(policies: dict[str, Any]) -> set[tuple[str, int]]:
    """The addresses and ports outside the cluster that producers may connect to."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in policies["producer"]["egress"]
        for peer in rule.get("to", ())
        for port in rule["ports"]
        if "ipBlock" in peer
    }
