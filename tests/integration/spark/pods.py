"""As much of the Kubernetes API as Spark's driver needs to make executors: pods in memory, over plain HTTP."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "argus"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"

Pod = dict[str, Any]


class Pods:
    """The pods that there are. Those that somebody makes wait until `run` is called: there is no machine."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}
        self._changed = threading.Condition()

    def add(self, pod: Pod, **status: Any) -> Pod:
        """A new pod, which is Pending unless `status` says otherwise."""
        with self._changed:
            metadata = pod["metadata"]
            metadata |= {"namespace": NAMESPACE, "uid": f"uid-of-{metadata['name']}", "resourceVersion": "1"}
            pod["status"] = {"phase": "Pending", **status}
            self._pods[metadata["name"]] = pod
            self._changed.notify_all()
            return pod

    def run(self, name: str, address: str) -> None:
        """The pod runs at this address from now on."""
        self._pods[name]["status"] = {"phase": "Running", "podIP": address}

    def wait_for(self, labels: dict[str, str], seconds: float) -> Pod:
        """The first pod with these labels, once there is one."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.list(labels), seconds), f"no pod with {labels} was made"
            return self.list(labels)[0]

    def list(self, labels: dict[str, str]) -> list[Pod]:
        """The pods with these labels."""
        return [pod for pod in list(self._pods.values()) if labels.items() <= pod["metadata"].get("labels", {}).items()]

    def get(self, name: str) -> Pod | None:
        """The pod of this name."""
        return self._pods.get(name)

    def delete(self, name: str) -> Pod | None:
        """Delete the pod of this name at once."""
        with self._changed:
            return self._pods.pop(name, None)


def _labels(query: dict[str, list[str]]) -> dict[str, str]:
    """The labels that a selector wants; those that it does not want (`!=`) no pod has here."""
    wanted = query.get("labelSelector", [""])[0].split(",")
    return dict(each.split("=", 1) for each in wanted if "=" in each and "!=" not in each)


@contextlib.contextmanager
def api() -> Iterator[tuple[Pods, str]]:
    """Serve pods on loopback during the block. Yields them with the server's URL."""
    pods = Pods()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, query = self._asked()
            if path == _PODS:
                found = pods.list(_labels(query))
                self._answer({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found})
            elif path.startswith(f"{_PODS}/"):
                self._answer(pods.get(path.rpartition("/")[2]))
            else:
                self._answer({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []})

        def do_POST(self) -> None:
            self._answer(pods.add(self._body()), 201)

        def do_PATCH(self) -> None:
            path, _ = self._asked()
            self._body()
            self._answer(pods.get(path.rpartition("/")[2]))

        def do_DELETE(self) -> None:
            path, query = self._asked()
            self._body()
            if path == _PODS:
                for pod in pods.list(_labels(query)):
                    pods.delete(pod["metadata"]["name"])
                self._answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})
            else:
                self._answer(pods.delete(path.rpartition("/")[2]))

        def _asked(self) -> tuple[str, dict[str, list[str]]]:
            parts = urlsplit(self.path)
            return parts.path, parse_qs(parts.query)

        def _body(self) -> Any:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return json.loads(text) if text else None

        def _answer(self, found: Any, status: int = 200) -> None:
            if found is None:
                found, status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}, 404
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing: tests look at the pods."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield pods, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
