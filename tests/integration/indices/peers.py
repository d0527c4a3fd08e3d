"""Real Elasticsearch nodes and the proxies between them, each in a network namespace as in a pod."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from components.config.lasting import next_step
from components.config.sections import TRANSPORTS, Elasticsearch, Transport
from components.kubernetes import pod_dns
from components.pipeline import elasticsearch_peers as peers
from components.pipeline import elasticsearch_proxy
from components.pipeline.elasticsearch import HOME, HTTP, elasticsearch_yml
from components.pipeline.elasticsearch_peer_identity import DIR, PEER
from tests.integration import services
from tests.integration.cluster.segment import Host, Segment
from tests.integration.kafka.authority import Authority
from tests.integration.services import REPOSITORY, wait_for

NODES: Final = 3
SEARCHED: Final = "results-objects-2026.11.30"
LIMIT_SECONDS: Final = 300
_NAMESPACE: Final = "argus"
_INDEX: Final = {"settings": {"number_of_shards": 1, "number_of_replicas": 1, "max_result_window": 1_000_000}}
_ADDRESSES: Final = tuple(f"10.9.0.{10 + number}" for number in range(2 * NODES))
"""Those of the services of nodes, which are the pods' here; the last ones are of nodes that are not there."""
_HOSTS: Final = {
    pod_dns(f"elasticsearch-{number}", "elasticsearch-nodes", _NAMESPACE): _ADDRESSES[number] for number in range(NODES)
}

HANDSHAKE: Final = """
import socket, ssl, sys
from tests.e2e.knock import elasticsearch_handshake
host, port, pair, spoken = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if pair:
    context.load_cert_chain(pair)
if spoken.startswith("TLSv"):
    context.maximum_version = ssl.TLSVersion[spoken]
with socket.create_connection((host, int(port)), 5) as plain:
    with plain if spoken == "plain" else context.wrap_socket(plain) as connection:
        connection.sendall(elasticsearch_handshake())
        print(connection.recv(2).decode(errors="replace"))
"""
"""Prints the beginning of a node's answer to another node's first words."""

IMPOSTOR: Final = """
import socket, ssl, sys
address, port, pair = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pair)
with socket.create_server((address, int(port))) as server:
    print("ready", flush=True)
    while True:
        try:
            with context.wrap_socket(server.accept()[0], server_side=True) as client:
                print("heard", client.recv(100), flush=True)
        except OSError as failed:
            print("failed", failed, flush=True)
"""
"""Answers in the place of a node, with a certificate of somebody else, and prints what it hears."""

WRITE: Final = """
import json, sys, threading, time, urllib.error, urllib.request
index, *nodes = sys.argv[1:]
ended = threading.Event()
def created(node, number):
    url = f"http://{node}/{index}/_create/{number}?timeout=3s"
    request = urllib.request.Request(url, b'{"camera": {"name": "gate"}}', {"Content-Type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=8).status == 201
    except urllib.error.HTTPError as refused:
        return refused.code == 409
    except OSError:
        return False
def write():
    number = tries = 0
    while not ended.is_set():
        while not created(nodes[tries % len(nodes)], number):
            tries += 1
            time.sleep(0.2)
        number += 1
        time.sleep(0.05)
    print(number, flush=True)
writer = threading.Thread(target=write)
writer.start()
sys.stdin.read()
ended.set()
writer.join()
"""
"""Creates one document after the other, each until a node has it, and prints their number at the end of its input."""


@dataclass
class Nodes:
    """The nodes of a stack, which are restarted one after the other."""

    folder: Path
    net: Segment
    authority: Authority
    hosts: list[Host] = field(default_factory=list)
    client: Host = field(init=False)
    transport: Transport = "plain"
    """The step at which all of them are."""
    _names: dict[int, str] = field(default_factory=dict)
    _running: dict[int, ExitStack] = field(default_factory=dict)
    _proxies: dict[int, ExitStack] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosts = [self.net.host(f"node{number}", pods=_ADDRESSES[number]) for number in range(NODES)]
        self.client = self.net.host("client", pods="10.9.0.2")

    def __enter__(self) -> Self:
        try:
            for number in range(NODES):
                self.start(number, self.transport)
            self.wait_until_together(*range(NODES))
            self.ask(0, "PUT", SEARCHED, _INDEX)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for running in (*self._running.values(), *self._proxies.values()):
            running.close()

    def start(self, number: int, transport: Transport) -> None:
        """Start a pod; wait until its containers listen."""
        if peers.wanted(_section(transport)):
            self.start_proxy(number)
        running = self._running[number] = ExitStack()
        host = self.hosts[number]
        own = {
            "node.name": f"elasticsearch-{number}",
            peers.INDEX: str(number),
            "discovery.initial_state_timeout": "1s",
            # Otherwise it would create no index while this computer's disk is full.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        self._names[number] = running.enter_context(
            services.container(
                "elasticsearch",
                files={f"{HOME}/config/elasticsearch.yml": elasticsearch_yml(_NAMESPACE, _section(transport))},
                command=[],
                environment={"ES_JAVA_OPTS": "-Xms192m -Xmx192m -Des.enforce.bootstrap.checks=true", **own},
                ready=lambda: listens(host, HTTP),
                data=f"{HOME}/data",
                disk=self.folder / f"disk{number}",
                instance=f"peers-{number}",
                grace_seconds=30,
                hosts=_HOSTS,
                network=_namespace_of(host),
            )
        )

    def start_proxy(self, number: int) -> None:
        """Start the proxy of a node."""
        running = self._proxies[number] = ExitStack()
        host = self.hosts[number]
        *_, config = peers.command()[:5]
        running.enter_context(
            services.container(
                elasticsearch_proxy.IMAGE.name,
                files={config: peers.nginx_conf(_ADDRESSES)},
                command=peers.command()[1:],
                environment={},
                ready=lambda: listens(host, peers.DOOR),
                data="/nowhere",
                folders={DIR: self.authority.identity(PEER, hosts=(PEER,))},
                instance=f"peers-{number}",
                network=_namespace_of(host),
            )
        )

    def address(self, number: int) -> str:
        """That of the service of a node, or of one that may come."""
        return _ADDRESSES[number]

    def container(self, number: int) -> str:
        """The container of a node."""
        return self._names[number]

    def stop_proxy(self, number: int) -> None:
        """Kill the proxy of a node."""
        self._proxies.pop(number).close()

    def go(self, wanted: Transport) -> None:
        """Take them to another step, as updates of a stack do: the last node first."""
        while self.transport != wanted:
            step = next_step(TRANSPORTS, self.transport, wanted)
            for number in reversed(range(NODES)):
                self.restart(number, step)
                self.wait_until_together(*range(NODES))
                self.wait_until_green()
            self.transport = step

    @contextmanager
    def written(self) -> Iterator[None]:
        """While documents are created one after the other; at the end all that were are there, and no other."""
        self.ask(0, "DELETE", SEARCHED)
        self.ask(0, "PUT", SEARCHED, _INDEX)
        writer = start_in(self.client, WRITE, SEARCHED, *(f"{host.address}:{HTTP}" for host in self.hosts))
        try:
            yield
        finally:
            said, _ = writer.communicate(timeout=LIMIT_SECONDS)
        number = int(said)
        assert number > 0
        assert self.documents() == {str(each) for each in range(number)}

    def restart(self, number: int, transport: Transport) -> None:
        """End a pod as Kubernetes does, and start it with another configuration."""
        self._running.pop(number).close()
        if number in self._proxies:
            self.stop_proxy(number)
        self.start(number, transport)

    def ask(self, number: int, method: str, path: str, body: Any = None) -> Any:
        """What a node answers, asked from its own pod. Fails where it refuses."""
        sent = [] if body is None else ["--json", json.dumps(body)]
        url = f"http://127.0.0.1:{HTTP}/{path}"
        asked = ("curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", "--request", method)
        return json.loads(self.hosts[number].run(*asked, *sent, url).stdout)

    def together(self, *numbers: int) -> bool:
        """Whether these nodes, and no other, are in the first one's cluster."""
        return self._found(numbers[0]).keys() == {f"elasticsearch-{number}" for number in numbers}

    def wait_until_together(self, *numbers: int, seconds: float = LIMIT_SECONDS) -> None:
        wait_for(f"a cluster of {numbers}", lambda: self.together(*numbers), seconds=seconds, every=1)

    def wait_until_green(self) -> None:
        """Wait until every index has all its copies."""
        path = "_cluster/health?wait_for_status=green&timeout=30s"
        wait_for("all copies", lambda: not self.ask(0, "GET", path)["timed_out"], seconds=LIMIT_SECONDS, every=1)

    def documents(self) -> set[str]:
        """The names of all documents."""
        self.ask(0, "POST", f"{SEARCHED}/_refresh")
        found = self.ask(0, "POST", f"{SEARCHED}/_search", {"size": 1_000_000, "_source": False})
        return {hit["_id"] for hit in found["hits"]["hits"]}

    def master(self) -> int:
        """The number of the node that is the cluster's master."""
        found = self.ask(0, "GET", "_cluster/state/master_node,nodes")
        return int(found["nodes"][found["master_node"]]["name"].rpartition("-")[2])

    def published(self) -> set[str]:
        """The addresses at which nodes say that they are."""
        return set(self._found(0).values())

    def _found(self, number: int) -> dict[str, str]:
        """The addresses of the nodes in a node's cluster, by their names, as its master has them."""
        found = self.ask(number, "GET", "_cluster/state/nodes?master_timeout=3s")["nodes"].values()
        return {each["name"]: each["transport_address"] for each in found}


def _section(transport: Transport) -> Elasticsearch:
    # What clients do is another test's.
    return Elasticsearch(replicas=NODES, volumeGiB=1, transport="plain", nodeTransport=transport)


def _namespace_of(host: Host) -> str:
    return f"ns:/proc/{host.process.pid}/ns/net"


def listens(host: Host, port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens at a port, seen from this host."""
    return host.run("bash", "-c", f": </dev/tcp/{address}/{port}", check=False).returncode == 0


def shakes_hands(host: Host, address: str, port: int, *, pair: Path | None = None, spoken: str = "TLS") -> bool:
    """Whether a node takes whoever comes so from this host for another node: with this key and certificate, if any, in
    the newest TLS, another version of it, or plain."""
    given = (address, str(port), str(pair or ""), spoken)
    done = host.run("env", f"--chdir={REPOSITORY}", sys.executable, "-c", HANDSHAKE, *given, check=False)
    return done.stdout.strip() == "ES"


def start_in(host: Host, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program of Python in a host's network."""
    return subprocess.Popen(
        ["nsenter", f"--target={host.process.pid}", "--net", sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
