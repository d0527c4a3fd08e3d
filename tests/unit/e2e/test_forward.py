"""Elasticsearch is searched inside a pod, and when that pod goes, inside another one."""

import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import cluster
from tests.e2e.cluster import SEARCH_PORT, ClusterClient
from tests.e2e.forward import Forward

KUBECTL = """
import os, socket, sys, threading
from pathlib import Path
*_, what, pod, port = sys.argv
assert (what, port) == ("port-forward", ":9200"), sys.argv
there = Path(FOLDER) / pod.removeprefix("pod/")
if not there.exists():
    sys.exit(f'Error from server (NotFound): pods "{there.name}" not found')
def pump(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)
def forward(client):
    try:
        inside = socket.create_connection(("127.0.0.1", int(there.read_text())))
    except OSError:
        print("error: lost connection to pod", flush=True)
        os._exit(1)
    threading.Thread(target=pump, args=(inside, client), daemon=True).start()
    pump(client, inside)
server = socket.create_server(("127.0.0.1", 0))
print(f"Forwarding from 127.0.0.1:{server.getsockname()[1]} -> 9200", flush=True)
while True:
    threading.Thread(target=forward, args=(server.accept()[0],), daemon=True).start()
"""
"""What `kubectl port-forward` does, for pods whose servers' ports are in files of their names."""


class Node:
    """A node of Elasticsearch, which says its name, or nothing, or that an index is blocked."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self._file, node = name, folder / name, self
        self.silent = self.dead = False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if node.silent:
                    threading.Event().wait(5)
                if node.dead:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                blocked = self.path == "/blocked"
                text = b'{"error": "cluster_block_exception"}' if blocked else f'{{"name": "{node.name}"}}'.encode()
                self.send_response(403 if blocked else 200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._file.write_text(str(self._server.server_port))

    def die(self) -> None:
        """It answers nobody any longer, and its pod is gone."""
        self.dead = True
        self._file.unlink(missing_ok=True)
        self._server.shutdown()
        self._server.server_close()


class Client(ClusterClient):
    """Of a cluster whose API names pods and a Service, and has nothing else."""

    def __init__(self, *pods: str, ports: tuple[int, ...] = ()) -> None:
        self.ready, self._ports = list(pods), ports
        self._kubeconfig, self._forward, self._forwarded = Path("kubeconfig"), None, ""

    def get(self, path: str, **params: str) -> Any:
        return {"spec": {"ports": [{"port": port} for port in self._ports]}}

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"name": name}, "status": ready} for name in self.ready]

    def _read(self, method: str, path: str, **request: Any) -> httpx.Response:
        return httpx.Response(200, json={"name": path})

    def impatient(self) -> None:
        assert self._forward is not None
        self._forward.http.timeout = httpx.Timeout(0.5)

    def close(self) -> None:
        if self._forward is not None:
            self._forward.close()


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Node]]:
    program = tmp_path / "kubectl.py"
    program.write_text(KUBECTL.replace("FOLDER", repr(str(tmp_path))))
    monkeypatch.setattr(cluster, "Forward", partial(Forward, kubectl=(sys.executable, str(program))))
    monkeypatch.setattr(cluster, "_PAUSE_S", 0.01)
    nodes = [Node(tmp_path, f"elasticsearch-{number}") for number in range(2)]
    yield nodes
    for node in nodes:
        node.die()


@pytest.fixture
def client(nodes: list[Node]) -> Iterator[Client]:
    client = Client(*(node.name for node in nodes))
    yield client
    client.close()


def test_a_search_inside_a_pod_goes_on_in_another_one_when_it_is_gone(client: Client, nodes: list[Node]) -> None:
    assert client.search_get("/")["name"] == client.search_get("/")["name"] == "elasticsearch-0"
    nodes[0].die()
    # The API still calls it ready.
    assert client.search_get("/")["name"] == "elasticsearch-1"


def test_after_a_pod_that_is_silent_another_one_is_asked(client: Client, nodes: list[Node]) -> None:
    client.search_get("/")
    nodes[0].silent = True
    client.impatient()
    with pytest.raises(httpx.ReadTimeout):
        client.search_get("/")
    assert client.search_get("/")["name"] == "elasticsearch-1"


def test_an_index_that_refuses_has_answered(client: Client) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        client.search_get("/blocked")
    assert client.search_get("/")["name"] == "elasticsearch-0"


def test_without_a_way_it_is_said_what_kubectl_says(nodes: list[Node]) -> None:
    client = Client("elasticsearch-7")
    with pytest.raises(httpx.ConnectError, match=r"elasticsearch-7.*not found"):
        client.search_get("/")


def test_without_a_ready_pod_it_is_an_error_that_is_waited_out() -> None:
    with pytest.raises(httpx.ConnectError, match="no pod of Elasticsearch"):
        Client().search_get("/")


def test_where_nodes_answer_everybody_the_api_servers_lead_there(nodes: list[Node]) -> None:
    client = Client("elasticsearch-0", ports=(SEARCH_PORT, 9243))
    assert f"elasticsearch:{SEARCH_PORT}/proxy/x" in client.search_get("/x")["name"]
