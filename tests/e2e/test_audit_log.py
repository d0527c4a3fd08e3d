"""The API servers' audit log goes to Elasticsearch while the stack asks for it: each line once, and no secret."""

import time
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest

from components.pipeline import audit_log
from lab.config import machine
from tests.e2e.accounting import Audit
from tests.e2e.audited import differences, forget, indexed, indexed_since, logged, remains, telling
from tests.e2e.cluster import NAMESPACE, ClusterClient
from tests.e2e.conftest import Stack
from tests.e2e.machines import CONTROL_PLANES, kubectl, stack_with
from tests.e2e.refusals import refusals
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

pytestmark = pytest.mark.full  # 5 to 30 minutes: Elasticsearch's nodes restart, one after the other, twice

ASKED = "cp1"
"""The control plane whose API server is asked, past the endpoint, so that it is known who logs the request."""
USER = "kubernetes-admin"
PODS = f"/api/v1/namespaces/{audit_log.NAMESPACE}/pods"
REPLACED_LIMIT_S = 120
ARRIVAL_LIMIT_S = 1200
"""A pod that starts reads the log of the last two days first, and each line is refused that is in the index already."""


class Hidden:
    """A Secret of a name and a content that nobody else has."""

    def __init__(self, cluster: ClusterClient) -> None:
        self.name, self.word = f"audited-{token_hex(6)}", token_hex(16)
        self._cluster = cluster
        self._all = f"https://{machine(ASKED).address}:6443/api/v1/namespaces/{NAMESPACE}/secrets"

    def create(self) -> None:
        """Raises httpx.HTTPError."""
        made = {"metadata": {"name": self.name}, "stringData": {"word": self.word}}
        self._cluster.change("POST", self._all, {"apiVersion": "v1", "kind": "Secret", **made})

    def read(self) -> None:
        """Raises httpx.HTTPError."""
        self._cluster.get(f"{self._all}/{self.name}")

    def delete(self) -> None:
        """Raises httpx.HTTPError, but not if it is gone."""
        try:
            self._cluster.change("DELETE", f"{self._all}/{self.name}", {})
        except httpx.HTTPStatusError as refused:
            if refused.response.status_code != httpx.codes.NOT_FOUND:
                raise


def shipping(config: dict[str, Any]) -> None:
    """Send the audit log."""
    config.setdefault("argus:audit", {})["ship"] = True


def shippers(cluster: ClusterClient) -> dict[str, str]:
    """The pod that sends the log of each control plane, by the machine."""
    return {pod["spec"].get("nodeName"): pod["metadata"]["name"] for pod in cluster.get(PODS)["items"]}


def not_running(cluster: ClusterClient, killed: str) -> str | None:
    """None once another pod than this one runs on its machine; before that, what there is."""
    found = {
        pod["metadata"]["name"]: pod["status"]["phase"]
        for pod in cluster.get(PODS)["items"]
        if pod["spec"].get("nodeName") == ASKED
    }
    return None if killed not in found and "Running" in found.values() else f"{found}"


def arrived(cluster: ClusterClient, secret: Hidden, *verbs: str) -> float:
    """Wait until the log has a line of each of these requests, and the index all lines once; how long it took (s)."""
    began = time.monotonic()

    def missing() -> str | None:
        lines = logged(secret.name)
        found = sorted(line["verb"] for line in lines.values())
        if not set(verbs) <= set(found):
            return f"{ASKED} has logged {found} of {secret.name}"
        return differences(lines, indexed(cluster, secret.name))

    try:
        wait_until(f"{', '.join(verbs)} of {secret.name} in the index", missing, ARRIVAL_LIMIT_S, pause_s=5)
    except AssertionError as late:
        log = kubectl("cp1", f"-n {audit_log.NAMESPACE} logs --tail=20 {shippers(cluster).get(ASKED)} 2>&1 || true")
        said = [str(late), f"proxies refused: {refused()}", f"Filebeat at {ASKED} says:", *log]
        raise AssertionError("\n".join(said)) from late
    return time.monotonic() - began


def refused() -> dict[str, list[str]]:
    """The lines of the proxies before Elasticsearch in which they refuse somebody something, by pod."""
    return {pod: lines for pod, lines in refusals().items() if pod.startswith("elasticsearch-")}


def test_each_line_is_in_the_index_once_and_no_secret_is(stack: Stack, tmp_path: Path, timings: Timings) -> None:
    cluster, began = stack.cluster, datetime.now(UTC)
    assert remains(cluster) == [], "the audit log is sent already"
    frames, secret = Audit.open(cluster), Hidden(cluster)
    try:
        stack.up(stack_with(tmp_path, shipping))
        assert shippers(cluster).keys() == set(CONTROL_PLANES)
        secret.create()
        first_s = arrived(cluster, secret, "create")
        (document,) = indexed(cluster, secret.name)
        source = document["_source"]
        assert (source["host"]["name"], source["kubernetes"]["audit"]["user"]["username"]) == (ASKED, USER)

        killed = shippers(cluster)[ASKED]
        now = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        cluster.change("DELETE", f"{PODS}/{killed}", now)
        secret.read()
        # From then on nobody but the new pod can send anything, and it reads the lines before again.
        wait_until(f"another pod than {killed}", lambda: not_running(cluster, killed), REPLACED_LIMIT_S)
        secret.delete()
        again_s = arrived(cluster, secret, "create", "get", "delete")

        assert refused() == {}
        documents = indexed_since(cluster, began)
        assert documents and telling(secret.name, documents), f"{len(documents)} documents, none about {secret.name}"
        assert telling(secret.word, documents) == [], "these have the Secret's content"
    finally:
        try:
            secret.delete()
        finally:
            stack.up()
    counts = frames.close()
    assert remains(cluster) == []
    assert forget(cluster), "what was sent is kept until retention deletes it, but there was nothing"
    timings.took("the audit log is sent: a request is in the index", first_s)
    timings.took("its Filebeat is killed: a later request is in the index, once", again_s, counts)
