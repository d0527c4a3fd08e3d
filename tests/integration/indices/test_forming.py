"""Real Elasticsearch nodes with the stack's configuration form one cluster, once (ADR 41)."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.messages.names import results_index
from components.config.sections import Elasticsearch
from components.pipeline.elasticsearch import HOME, NEVER_AGAIN, elasticsearch_yml
from tests.integration import services
from tests.integration.services import free_port, wait_for

NODES = 3
SECTION = Elasticsearch(replicas=NODES, volumeGiB=1, transport="plain")
LIMIT_SECONDS = 300
NOT_IN_ANY = "_na_"
"""The id of the cluster that a node reports which is in none."""
REFUSES = "skipping cluster bootstrapping as local node does not match bootstrap requirements"
DOCUMENT = f"{results_index('kept', '2026.11.23')}/_doc/one"


class Nodes:
    """The nodes of a stack on loopback, each with ports of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._http, self._transport = ([free_port() for _ in range(NODES)] for _ in range(2))

    @contextmanager
    def running(self, disks: Mapping[int, str], *, formed: bool) -> Iterator[Mapping[int, str]]:
        """Run these nodes with these disks, each empty at its first use. Yields their containers.

        `formed` says whether the ConfigMap is there that says so.
        """
        with ExitStack() as stack:
            yield {number: stack.enter_context(self._node(number, disk, formed)) for number, disk in disks.items()}

    @contextmanager
    def _node(self, number: int, disk: str, formed: bool) -> Iterator[str]:
        own = {
            "node.name": f"elasticsearch-{number}",
            "network.host": "127.0.0.1",
            "http.port": str(self._http[number]),
            "transport.port": str(self._transport[number]),
            "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in self._transport),
            # A node that is in no cluster answers earlier.
            "discovery.initial_state_timeout": "1s",
        }
        with services.container(
            "elasticsearch",
            files={f"{HOME}/config/elasticsearch.yml": elasticsearch_yml("argus", SECTION)},
            command=[],
            environment={"ES_JAVA_OPTS": "-Xms192m -Xmx192m", **own, **(NEVER_AGAIN if formed else {})},
            ready=lambda: bool(self.cluster_of(number)),
            data=f"{HOME}/data",
            disk=self._folder / disk,
            instance=str(number),
            grace_seconds=30,
        ) as container:
            yield container

    def ask(self, number: int, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, f"http://127.0.0.1:{self._http[number]}/{path}", json=body, timeout=60)

    def cluster_of(self, number: int) -> str:
        """The id of the cluster that the node is in, or NOT_IN_ANY."""
        return str(self.ask(number, "GET", "").raise_for_status().json()["cluster_uuid"])

    def whole(self, *numbers: int) -> str:
        """The id of the cluster that these nodes make, once they do."""
        first = numbers[0]

        def together() -> bool:
            found = self.ask(first, "GET", "_cluster/health?timeout=1s").json().get("number_of_nodes")
            return bool(found == len(numbers))

        wait_for(f"a cluster of {len(numbers)}", together, seconds=LIMIT_SECONDS, every=1)
        (cluster,) = {self.cluster_of(number) for number in numbers}
        return cluster


@pytest.mark.full
def test_nodes_with_empty_disks_wait_for_the_cluster_that_has_the_data(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path)
    with nodes.running({0: "a", 1: "b", 2: "c"}, formed=False):
        cluster = nodes.whole(0, 1, 2)
        index = DOCUMENT.partition("/")[0]
        settings = {"settings": {"number_of_replicas": 2, "number_of_shards": 1}}
        nodes.ask(0, "PUT", f"{index}?wait_for_active_shards=all&timeout=120s", settings).raise_for_status()
        nodes.ask(0, "PUT", f"{DOCUMENT}?refresh=true", {"camera": {"name": "gate"}}).raise_for_status()

    # A majority whose disks are lost, while the last one that knows the cluster is dead.
    with nodes.running({1: "d", 2: "e"}, formed=True) as containers:
        for container in containers.values():
            wait_for(REFUSES, lambda each=container: REFUSES in services.logs(each), seconds=LIMIT_SECONDS, every=1)
        assert {nodes.cluster_of(number) for number in containers} == {NOT_IN_ANY}

    # One whose disk is lost joins the others, and gets their data.
    with nodes.running({0: "a", 1: "b", 2: "e"}, formed=True):
        assert nodes.whole(0, 1, 2) == cluster
        assert nodes.ask(2, "GET", f"_cluster/health/{index}?wait_for_status=green&timeout=60s").is_success
        assert nodes.ask(2, "GET", DOCUMENT).json()["_source"] == {"camera": {"name": "gate"}}

    # What would have happened; and what an operator does who has lost all disks.
    with nodes.running({1: "f", 2: "g"}, formed=False):
        assert nodes.whole(1, 2) not in {cluster, NOT_IN_ANY}
