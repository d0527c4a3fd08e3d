"""Reads a running stack's pods, frames and results for the end-to-end tests, all by way of the API server."""

import base64
import json
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from apps.service.token import HEADER
from components.kubernetes import HTTP_PORT, METRICS_PORT
from tests.e2e.forward import Forward

NAMESPACE = "argus"
SEARCH_PORT = 9200
_SEARCH = f"/api/v1/namespaces/{NAMESPACE}/services/elasticsearch:{SEARCH_PORT}/proxy"
_PAGE = 5000

_TRIES, _PAUSE_S = 5, 2.0
"""For a read whose connection breaks because a machine dies or an API server restarts."""


@dataclass(frozen=True, kw_only=True)
class CameraState:
    """One camera as its producer reports it; `first` to `last` are the acknowledged sequences of this run."""

    name: str
    state: str
    error: str | None
    first: int | None
    last: int | None
    failed: frozenset[int]


class ClusterClient:
    """Reads a cluster through its API server with the kubeconfig's certificate, and pods through its proxy.

    A read is repeated if its connection breaks, as in client-go, but not if there is any answer.
    """

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_pem(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
            pair.write(_pem(user["client-certificate-data"]) + _pem(user["client-key-data"]))
            pair.flush()
            context.load_cert_chain(pair.name)
        self._http = httpx.Client(base_url=cluster["server"], verify=context, timeout=30, trust_env=False)
        self._kubeconfig = kubeconfig
        self._tokens: dict[str, str] = {}
        """By the name of their Secret."""
        self._forward: Forward | None = None
        self._forwarded = ""
        """The pod that `_forward` leads to, or led to last."""

    def get(self, path: str, **params: str) -> Any:
        """The JSON at a path of the API server. Raises httpx.HTTPError."""
        return self._read("GET", path, params=params).json()

    def unreachable(self) -> str | None:
        """None if the API server answers within a second that it is ready, else the answer or error."""
        try:
            return None if self._http.get("/readyz", timeout=1).is_success else "not ready"
        except httpx.HTTPError as error:
            return repr(error)

    def pods(self, selector: str = "") -> list[dict[str, Any]]:
        """The pipeline's pods that match a label selector."""
        items: list[dict[str, Any]] = self.get(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=selector)["items"]
        return items

    def nodes(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("/api/v1/nodes")["items"]
        return items

    def pod_get(self, pod: str, path: str) -> Any:
        """The JSON at a path of a pod that answers other pods, over TLS."""
        return self.ask(pod, HTTP_PORT, path, "https").json()

    def metrics(self, pod: str) -> list[str]:
        """The lines of a pod's metrics."""
        return self.scrape(pod).text.splitlines()

    def scrape(self, pod: str) -> httpx.Response:
        """A pod's metrics, as it answers them. Raises httpx.HTTPError."""
        return self.ask(pod, METRICS_PORT, "/metrics", "https")

    def ask(self, pod: str, port: int, path: str, scheme: str) -> httpx.Response:
        """A pod's answer. Raises httpx.HTTPError. API servers do not check a pod's certificate."""
        proxied = f"/api/v1/namespaces/{NAMESPACE}/pods/{scheme}:{pod}:{port}/proxy{path}"
        return self._read("GET", proxied, headers=self.shown_at(port))

    def shown_at(self, port: int) -> dict[str, str]:
        """What who is let in at a pod's port shows there. API servers keep `Authorization` for themselves."""
        secret = "metrics-token" if port == METRICS_PORT else "pods-token"
        if secret not in self._tokens:
            data = self.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{secret}")["data"]
            self._tokens[secret] = base64.b64decode(data["token"]).decode().strip()
        return {HEADER: self._tokens[secret]}

    def search(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Elasticsearch's answer. Raises httpx.HTTPError."""
        return self._search("POST", path, json=body)

    def search_get(self, path: str) -> Any:
        """The JSON at a path of Elasticsearch. Raises httpx.HTTPError."""
        return self._search("GET", path).json()

    def change(self, method: str, path: str, body: Any, content_type: str = "application/json") -> httpx.Response:
        """The API server's answer to a change. Raises httpx.HTTPError. It is repeated like a read, so a second one
        must do no harm.
        """
        return self._read(method, path, content=json.dumps(body), headers={"content-type": content_type})

    def change_search(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Elasticsearch's answer to a change, as `change`; it takes no body for a deletion."""
        return self._search(method, path, json=body)

    def cameras(self) -> dict[str, CameraState]:
        """All cameras by name, as the producers report them."""
        found: dict[str, CameraState] = {}
        for producer in self._producers():
            for camera in self._reported(producer):
                assert camera.name not in found, f"camera {camera.name} is read by two producers"
                found[camera.name] = camera
        return found

    def cameras_that_are_known(self) -> list[CameraState]:
        """What those producers report that answer now; a camera that is being handed over may be there twice."""
        found: list[CameraState] = []
        for producer in self._producers():
            try:
                found += self._reported(producer)
            except httpx.HTTPError:
                continue
        return found

    def _producers(self) -> Iterator[str]:
        """The names of the producers' pods that are not being deleted."""
        for pod in self.pods():
            name = pod["metadata"]["name"]
            if re.match(r"producer-\d+-", name) and "deletionTimestamp" not in pod["metadata"]:
                yield name

    def _reported(self, producer: str) -> list[CameraState]:
        return [
            CameraState(
                name=camera["name"],
                state=camera["state"],
                error=camera["error"],
                first=camera["first_sequence"],
                last=camera["last_sequence"],
                failed=frozenset(camera["failed"]),
            )
            for camera in self.pod_get(producer, "/cameras")["cameras"]
        ]

    def results(self, model: str, first: int, last: int) -> Iterator[dict[str, Any]]:
        """All result documents of a model with a sequence in first..last, duplicates included."""
        body: dict[str, Any] = {
            "size": _PAGE,
            "query": {"range": {"frame.sequence": {"gte": first, "lte": last}}},
            "sort": [{"frame.sequence": "asc"}, {"event.id": "asc"}],
        }
        while True:
            hits = self.search(f"/results-{model}-*/_search", body).json()["hits"]["hits"]
            for hit in hits:
                assert hit["_id"] == hit["_source"]["event"]["id"], f"_id {hit['_id']} is not the result's identity"
                yield hit["_source"]
            if len(hits) < _PAGE:
                return
            body["search_after"] = hits[-1]["sort"]

    def saved_files(self, cameras: Mapping[str, object]) -> Iterator[str]:
        """`camera/hour/file` of all files of these cameras in the consumers, repeated if two have it."""
        for pod in self.pods("app.kubernetes.io/name=consumer"):
            name = pod["metadata"]["name"]
            for camera in cameras:
                for hour in self._hours(name, camera):
                    for file in self.pod_get(name, f"/frames/{camera}/{hour}/")["files"]:
                        yield f"{camera}/{hour}/{file}"

    def _read(self, method: str, path: str, **request: Any) -> httpx.Response:
        return _repeated(lambda: self._http.request(method, path, **request).raise_for_status())

    def _search(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Elasticsearch's answer: by the API servers' proxy or, where nodes answer only inside their pods, there."""
        service = self.get(f"/api/v1/namespaces/{NAMESPACE}/services/elasticsearch")
        if SEARCH_PORT in (port["port"] for port in service["spec"]["ports"]):
            return self._search_service(method, path, **request)
        return _repeated(lambda: self._search_inside(method, path, **request))

    def _search_service(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._read(method, f"{_SEARCH}{path}", **request)

    def search_node(self, but: str = "") -> dict[str, Any]:
        """A pod of Elasticsearch that is ready, if possible not this one. Raises httpx.ConnectError if none is."""
        ready = [pod for pod in self.pods("app.kubernetes.io/name=elasticsearch") if is_ready(pod)]
        if not ready:
            raise httpx.ConnectError("no pod of Elasticsearch is ready")
        return min(ready, key=lambda pod: bool(pod["metadata"]["name"] == but))

    def _search_inside(self, method: str, path: str, **request: Any) -> httpx.Response:
        if self._forward is None:
            # A pod whose machine is frozen or cut off is called ready for a while, so the next try is another one's.
            self._forwarded = self.search_node(but=self._forwarded)["metadata"]["name"]
            self._forward = Forward(self._kubeconfig, NAMESPACE, self._forwarded, SEARCH_PORT)
        try:
            return self._forward.http.request(method, path, **request).raise_for_status()
        except httpx.TransportError:
            self._forward.close()
            self._forward = None
            raise

    def _hours(self, consumer: str, camera: str) -> list[str]:
        try:
            hours: list[str] = self.pod_get(consumer, f"/frames/{camera}/")["hours"]
        except httpx.HTTPStatusError as error:
            # All of the camera's frames have gone to another consumer.
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return []
            raise
        return hours


def is_ready(thing: Mapping[str, Any]) -> bool:
    """Whether a node or a pod has the condition Ready."""
    return any(part["type"] == "Ready" and part["status"] == "True" for part in thing["status"].get("conditions", ()))


def _repeated(ask: Callable[[], httpx.Response]) -> httpx.Response:
    tries = 1
    while True:
        try:
            return ask()
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            if tries == _TRIES:
                raise
        tries += 1
        time.sleep(_PAUSE_S)


def _pem(data: str) -> str:
    return base64.b64decode(data).decode()
