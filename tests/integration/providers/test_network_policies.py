"""The pipeline's policies at a real API server, made by the component through the plugin."""

from typing import Any

from components.config.sections import Filebeat, Model, Settings
from components.pipeline.network_policies import pods
from components.pipeline.stages import STAGES
from lab.config import ROOT
from tests.integration.providers.conftest import ApiServer, Project

PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import pulumi
    import pulumi_kubernetes as kubernetes
    from components.config.sections import Camera, Cluster
    from components.pipeline.namespace import Namespace, NamespaceArgs
    from components.pipeline.network_policies import NetworkPolicies, NetworkPoliciesArgs
    provider = kubernetes.Provider("cluster", kubeconfig={kubeconfig!r})
    opts = pulumi.ResourceOptions(providers={{"kubernetes": provider}})
    namespace = Namespace("argus", NamespaceArgs(kubernetes_version="1.36.1", name="guarded"), opts).name
    NetworkPolicies("policies", NetworkPoliciesArgs(namespace=namespace, pods={pods!r}, models={models!r},
        cameras=[Camera(name="gate", url=url) for url in {urls!r}],
        cluster=Cluster(name="test", endpoint="192.0.2.10"), transport="plain"), opts)
"""
MODELS = ["objects", "motion"]
PODS = pods(
    Settings.model_construct(
        models=tuple(Model.model_validate({"name": name, "kind": name}) for name in MODELS),
        filebeat=Filebeat.model_validate({"replicas": {"maximum": 3}, "vertical": "apply"}),
    ),
    STAGES,
)
"""The policies of a stack that scales by lag and vertically."""


def test_the_api_server_takes_every_policy_as_it_is(project: Project, api_server: ApiServer) -> None:
    def declare(urls: list[str]) -> None:
        text = PROGRAM.format(
            root=str(ROOT), kubeconfig=str(api_server.kubeconfig), pods=PODS, models=MODELS, urls=urls
        )
        project.program(text)

    declare(["rtsp://198.51.100.31/1"])
    project.up()
    assert project.changes() == {}
    live = {
        each["metadata"]["name"]: each["spec"] for each in api_server.get("networkpolicy", "-n", "guarded")["items"]
    }
    assert live.keys() == {*PODS, "default-deny"}
    assert live["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert _outside(live) == {("0.0.0.0/0", 554)}

    declare(["rtsp://198.51.100.31:8554/1"])
    assert project.changes() == {"update": 1}
    project.up()
    assert _outside({"producer": api_server.get("networkpolicy", "producer", "-n", "guarded")["spec"]}) == {
        ("0.0.0.0/0", 8554)
    }


def _outside(policies: dict[str, Any]) -> set[tuple[str, int]]:
    """The addresses and ports outside the cluster that producers may connect to."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in policies["producer"]["egress"]
        for peer in rule.get("to", ())
        for port in rule["ports"]
        if "ipBlock" in peer
    }
