"""The policy of images at a real API server, made by the component."""

import json
from typing import Any

import pytest

from lab.config import ROOT
from tests.integration.providers.conftest import ApiServer, Project
from tests.integration.services import wait_for

NAMESPACE, ELSEWHERE = "verified", "others"
ONE, TWO, OTHER = (f"r.example.com/argus/{name}:1@sha256:{'a' * 64}" for name in ("one", "two", "other"))
PROGRAM = """
    import sys
    sys.path.insert(0, {root!r})
    import pulumi
    import pulumi_kubernetes as kubernetes
    from components.pipeline.image_policy import ImagePolicy, ImagePolicyArgs
    provider = kubernetes.Provider("cluster", kubeconfig={kubeconfig!r})
    args = ImagePolicyArgs(namespaces=[{namespace!r}], images=[{one!r}], last={{"now": [{two!r}], "before": []}})
    ImagePolicy("policy", args, pulumi.ResourceOptions(providers={{"kubernetes": provider}}))
"""


def pod(name: str, *images: str, namespace: str = NAMESPACE, init: str = "") -> str:
    spec: dict[str, Any] = {"containers": [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]}
    if init:
        spec["initContainers"] = [{"name": "first", "image": init}]
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


@pytest.fixture
def server(project: Project, api_server: ApiServer) -> ApiServer:
    """With a pod from before the policy."""
    for namespace in (NAMESPACE, ELSEWHERE):
        api_server.kubectl("create", "namespace", namespace)
        api_server.kubectl("create", "serviceaccount", "default", "-n", namespace)
    api_server.kubectl("create", "-f", "-", stdin=pod("earlier", OTHER))
    values = {"root": str(ROOT), "kubeconfig": str(api_server.kubeconfig), "one": ONE, "two": TWO}
    project.program(PROGRAM.format(namespace=NAMESPACE, **values))
    project.up()
    assert project.changes() == {}
    return api_server


def test_only_verified_images_run_in_the_stack_s_namespaces(server: ApiServer) -> None:
    # The API server notices a new policy within a second or so.
    def in_force() -> bool:
        server.kubectl("create", "--dry-run=server", "-f", "-", stdin=pod("early", OTHER), ok=False)
        return True

    wait_for("the policy", in_force, seconds=60)
    for name, image in (("one", ONE), ("two", TWO)):
        server.kubectl("create", "-f", "-", stdin=pod(name, image))
    for bad in (
        pod("bad", OTHER),
        pod("bad", ONE, OTHER),
        pod("bad", ONE, init=OTHER),
        pod("bad", ONE.partition("@")[0]),
    ):
        server.kubectl("create", "-f", "-", stdin=bad, ok=False)
    said = server.kubectl("create", "-f", "-", stdin=pod("bad", ONE, OTHER), ok=False)
    assert f"this stack has verified no image {OTHER}; only what argus:images.signers verified runs here" in said
    server.kubectl("set", "image", "pod/one", f"c0={OTHER}", "-n", NAMESPACE, ok=False)
    server.kubectl("set", "image", "pod/one", f"c0={TWO}", "-n", NAMESPACE)
    debug = {"spec": {"ephemeralContainers": [{"name": "debug", "image": OTHER, "targetContainerName": "c0"}]}}
    patch = ("patch", "pod", "one", "-n", NAMESPACE, "--subresource=ephemeralcontainers", "-p")
    server.kubectl(*patch, json.dumps(debug), ok=False)
    debug["spec"]["ephemeralContainers"][0]["image"] = TWO
    server.kubectl(*patch, json.dumps(debug))
    # What is there already stays, changes otherwise, and goes.
    server.kubectl("label", "pod", "earlier", "-n", NAMESPACE, "a=b")
    server.kubectl("delete", "pod", "earlier", "-n", NAMESPACE, "--grace-period=0", "--force")
    server.kubectl("create", "-f", "-", stdin=pod("any", OTHER, namespace=ELSEWHERE))
