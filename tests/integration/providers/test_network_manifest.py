"""The step that applies a network's manifest, with kubectl and a real API server."""

import json
import os
import subprocess
from pathlib import Path

import components.cluster
from components.cluster.machine import FUNCTIONS
from components.remote import Script
from tests.integration.providers.conftest import ApiServer, tool

FOLDER = Path(components.cluster.__file__).parent
MANIFEST = """\
apiVersion: example.com/v1
kind: Pool
metadata: { name: pods }
spec: { cidr: 10.244.0.0/16 }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: pools.example.com }
spec:
  group: example.com
  scope: Cluster
  names: { kind: Pool, plural: pools }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent, namespace: kube-system }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec:
      hostNetwork: true
      containers: [{ name: agent, image: "agent:1", securityContext: { privileged: true } }]
"""
READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def _apply(server: ApiServer, folder: Path, manifest: str) -> None:
    """Run the step as on a control plane whose folders are in `folder`."""
    kubectl = folder / "kubectl"
    if not kubectl.exists():
        kubectl.symlink_to(tool("kubectl"))
        (folder / "member").write_text("cp1\n")
        (folder / "kubelet.conf").write_text("kind: Config\n")
        (folder / "admin.conf").write_text(server.kubeconfig.read_text())
    files = []
    for name in (*FUNCTIONS, "network_manifest.sh"):
        text = (FOLDER / name).read_text()
        for path in ("/etc/kubernetes", "/var/lib/argus", "/run/argus-"):
            text = text.replace(path, str(folder) + ("/" if path.endswith("-") else ""))
        files.append(folder / Path(name).name)
        files[-1].write_text(text)
    values: dict[str, str | list[str]] = {"DIGEST": "1", "NODES": ["cp1"]}
    done = subprocess.run(
        ["/bin/sh", "-c", Script(files=files, values=values).render()],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        input=manifest,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_definitions_and_their_objects_come_in_one_manifest(api_server: ApiServer, tmp_path: Path) -> None:
    api_server.kubectl("create", "-f", "-", stdin='{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp1"}}')
    try:
        api_server.kubectl("patch", "node", "cp1", "--subresource=status", "-p", json.dumps(READY))
        _apply(api_server, tmp_path, MANIFEST)
        assert api_server.get("pool", "pods")["spec"] == {"cidr": "10.244.0.0/16"}

        # Manual changes are reverted, and a newer manifest is applied.
        api_server.kubectl("patch", "pool", "pods", "--type=merge", "-p", '{"spec": {"cidr": "192.168.0.0/16"}}')
        _apply(api_server, tmp_path, MANIFEST.replace("agent:1", "agent:2"))
        assert api_server.get("pool", "pods")["spec"] == {"cidr": "10.244.0.0/16"}
        agent = api_server.get("daemonset", "agent", "-n", "kube-system")
        assert agent["spec"]["template"]["spec"]["containers"][0]["image"] == "agent:2"
    finally:
        api_server.kubectl("delete", "node", "cp1")
        api_server.kubectl("delete", "crd", "pools.example.com", "--ignore-not-found")
        api_server.kubectl("delete", "daemonset", "agent", "-n", "kube-system", "--ignore-not-found", "--wait=false")
