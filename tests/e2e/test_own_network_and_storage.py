"""The user's own pod network and storage class instead of Argus's.

The network is kube-router, from its manifest, which enforces policies. The volumes are folders made by the test.
"""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from lab.config import machine, machines
from lab.machines import ssh
from tests.e2e.accounting import Audit
from tests.e2e.cluster import NAMESPACE, SEARCH_PORT, ClusterClient
from tests.e2e.conftest import UP_LIMIT_S, Stack, make, run_lab
from tests.e2e.machines import EVERYBODY, kubectl, on, stack_with, traces, unready_nodes
from tests.e2e.strangers import strangers, wait_until_all_reach_what_they_may
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full

MANIFEST = Path(__file__).with_name("kube-router.yaml")

API_LIMIT_S = 1200
"""More than enough from bare machines to an API that answers."""

STORAGE_CLASS, FOLDER = "own", "/srv/own"
VOLUMES, VOLUME_GIB = 4, 100
"""On each machine, one for each service, as large as the largest request."""


class Tunnels:
    """HTTP through SSH tunnels to addresses that only the lab's machines can reach."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clients: dict[tuple[str, str, int], httpx.Client] = {}
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def client(self, by: str, address: str, port: int, scheme: str = "http") -> httpx.Client:
        """A client that connects from this machine. It checks no certificate, as API servers do not."""
        key = by, address, port
        if key not in self._clients:
            end = self._folder / f"tunnel-{len(self._clients)}"
            program, *rest = ssh.command(machine(by))
            options = ["-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-L", f"{end}:{address}:{port}"]
            tunnel = subprocess.Popen([program, *options, *rest])
            self._ends.callback(tunnel.wait)
            self._ends.callback(tunnel.kill)
            wait_until(f"SSH to {by}", lambda: None if end.exists() else "no tunnel", limit_s=60, pause_s=0.1)
            self._clients[key] = httpx.Client(
                base_url=f"{scheme}://{address}:{port}",
                transport=httpx.HTTPTransport(uds=str(end), verify=False),
                timeout=30,
            )
        return self._clients[key]


class NeighbourClient(ClusterClient):
    """Reads each pod from its own machine, which every network allows. The API servers' proxy is not allowed here."""

    def __init__(self, kubeconfig: Path, tunnels: Tunnels) -> None:
        super().__init__(kubeconfig)
        self._tunnels = tunnels

    def ask(self, pod: str, port: int, path: str, scheme: str) -> httpx.Response:
        """A pod's answer. Raises httpx.HTTPError."""
        found = self.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}")
        return self._from_its_machine(found, port, scheme).get(path, headers=self.shown_at(port)).raise_for_status()

    def _search_service(self, method: str, path: str, **request: Any) -> httpx.Response:
        node = self._from_its_machine(self.search_node(), SEARCH_PORT, "http")
        return node.request(method, path, **request).raise_for_status()

    def _from_its_machine(self, pod: dict[str, Any], port: int, scheme: str) -> httpx.Client:
        return self._tunnels.client(pod["spec"]["nodeName"], pod["status"]["podIP"], port, scheme)


def with_own(config: dict[str, Any]) -> None:
    """Configure a network and storage that Argus does not make."""
    config["argus:cluster"]["network"] = {"manifest": str(MANIFEST)}
    config["argus:storage"] = {"className": STORAGE_CLASS}


def bring_storage() -> None:
    """Wait for the API, then create volumes by hand, like an administrator who has disks but no provisioner."""

    def no_api() -> str | None:
        try:
            kubectl("cp1", "get storageclasses")
        except AssertionError as error:
            return str(error)[-200:]
        return None

    volumes = [_volume(name, index) for name in EVERYBODY for index in range(VOLUMES)]
    for name in EVERYBODY:
        on(name, " ".join(["mkdir -p", *(f"{FOLDER}/{index}" for index in range(VOLUMES))]))
    wait_until("the API", no_api, limit_s=API_LIMIT_S)
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    made = {"apiVersion": "v1", "kind": "List", "items": [storage_class, *volumes]}
    kubectl("cp1", f"create -f - <<<{shlex.quote(json.dumps(made))}")


def _volume(machine: str, index: int) -> dict[str, Any]:
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [machine]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{machine}-{index}"},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": f"{VOLUME_GIB}Gi"},
            "local": {"path": f"{FOLDER}/{index}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


@pytest.fixture(scope="module")
def own(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack recreated with the user's network and storage; afterwards restored from bare machines."""
    run_lab("kube-router")
    folder = tmp_path_factory.mktemp("own")
    config = stack_with(folder, with_own)
    stack.destroy()
    try:
        # Pods, and so `pulumi up`, wait for their volumes, so storage may be added once the cluster exists.
        with ThreadPoolExecutor(1) as administrator:
            storage = administrator.submit(bring_storage)
            stack.up(config)
            storage.result()
        stack.up(config, expect_no_changes=True)
        with Tunnels(folder) as tunnels:
            stack.connect(partial(NeighbourClient, tunnels=tunnels))
            yield stack
    finally:
        stack.destroy()
        # A reboot removes the network's links and rules.
        for each in machines():
            on(each.name, f"rm -rf {FOLDER}")
            run_lab("kill", each.name)
            run_lab("start", each.name)
        left = {each.name: traces(each) for each in machines()}
        make("up", UP_LIMIT_S)
        stack.connect()
    assert not any(left.values()), json.dumps(left, indent=2)


def test_data_is_kept_where_the_stack_says(own: Stack) -> None:
    claims = own.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")["items"]
    kept = {
        claim["metadata"]["name"]: (claim["spec"]["storageClassName"], claim["status"]["phase"]) for claim in claims
    }
    assert {name.split("-")[1] for name in kept} == {"consumer", "elasticsearch", "kafka", "zookeeper"}
    assert set(kept.values()) == {(STORAGE_CLASS, "Bound")}, kept
    made = own.cluster.get("/api/v1/persistentvolumes")["items"]
    assert {volume["spec"]["storageClassName"] for volume in made} == {STORAGE_CLASS}, "Argus made volumes too"


def test_no_stranger_gets_in_and_every_frame_arrives(own: Stack, timings: Timings) -> None:
    """Pods with the labels of each kind, or with none, reach exactly what the policies' table lists."""
    cluster = own.cluster
    wait_until("every node", lambda: unready_nodes(cluster, EVERYBODY), limit_s=300)
    audit = Audit.open(cluster)
    began = time.monotonic()
    wait_until_all_reach_what_they_may(cluster, strangers)
    timings.took("policies enforced: strangers have tried every port", time.monotonic() - began, audit.close())
