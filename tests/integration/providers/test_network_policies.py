"""The pipeline's policies at a real API server, made by the program's own component through the plugin."""

from typing import Any

from components.pipeline.network_policies import pods
from lab.config import ROOT
from tests.integration.providers.conftest import ApiServer, Project

PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import pulumi
    import pulumi_kubernetes as kubernetes
    from components.pipeline import Namespace, NamespaceArgs, NetworkPolicies, NetworkPoliciesArgs
    provider = kubernetes.Provider("cluster", kubeconfig={kubeconfig!r})
    opts = pulumi.ResourceOptions(providers={{"kubernetes": provider}})
    namespace = Namespace("argus", NamespaceArgs(kubernetes_version="1.36.1", name="guarded"), opts).name
    NetworkPolicies("policies", NetworkPoliciesArgs(namespace=namespace, models={models!r}, camera_urls={urls!r},
        pod_network="10.244.0.0/16", service_network="10.96.0.0/16", scales_by_lag=True,
        scales_vertically=True), opts)
"""
MODELS = ["objects", "motion"]


def test_the_api_server_takes_every_policy_as_it_is(project: Project, api_server: ApiServer) -> None:
    def declare(urls: list[str]) -> None:
        text = PROGRAM.format(root=str(ROOT), kubeconfig=str(api_server.kubeconfig), models=MODELS, urls=urls)
        project.program(text)

    declare(["rtsp://198.51.100.31/1"])
    project.up()
    assert project.changes() == {}
    live = {
        each["metadata"]["name"]: each["spec"] for each in api_server.get("networkpolicy", "-n", "guarded")["items"]
    }
    assert live.keys() == {*pods(MODELS, scales_by_lag=True, scales_vertically=True), "default-deny"}
    assert live["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert _outside(live) == {("0.0.0.0/0", 554)}

    declare(["rtsp://198.51.100.31:8554/1"])
    assert project.changes() == {"update": 1}
    project.up()
    assert _outside({"producer": api_server.get("networkpolicy", "producer", "-n", "guarded")["spec"]}) == {
        ("0.0.0.0/0", 8554)
    }


def _outside(policies: dict[str, Any]) -> set[tuple[str, int]]:
    """Where producers may connect to outside the cluster."""
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in policies["producer"]["egress"]
        for peer in rule.get("to", ())
        for port in rule["ports"]
        if "ipBlock" in peer
    }
