"""Elasticsearch's nodes know each other by certificates, and nobody else gets in between them (ADR 60)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.config.sections import Transport
from components.pipeline.elasticsearch import HTTP
from components.pipeline.elasticsearch_grants import CLIENTS
from components.pipeline.elasticsearch_identities import NODES as SERVER
from components.pipeline.elasticsearch_peer_identity import PEER
from components.pipeline.elasticsearch_peers import DOOR, EXIT, NODE, exit_of
from components.pipeline.kafka_identities import PAIR
from tests.integration import services
from tests.integration.cluster.segment import Host, Segment, segment
from tests.integration.indices.peers import IMPOSTOR, NODES, Nodes, listens, shakes_hands, start_in
from tests.integration.kafka.authority import Authority

ALL = tuple(range(NODES))
GONE_SECONDS = 180
"""A node that does not answer is out of the cluster by then, on a busy computer. Three checks of ten seconds are half a
minute; where it is the master, another one is chosen first, which then finds the same."""
BACK_SECONDS = 90

# Three nodes at once, and half a minute for each restart: `make test-full`.
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segment]:
    with segment(tmp_path_factory.mktemp("segment")) as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("peers")
    folder.chmod(0o755)
    return Authority(folder / "authority")


@pytest.fixture(scope="module")
def nodes(net: Segment, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A stack in plain, at first."""
    with Nodes(tmp_path_factory.mktemp("nodes"), net, authority) as made:
        yield made


@pytest.fixture
def closed(nodes: Nodes) -> Nodes:
    """A stack whose nodes know each other by certificates alone."""
    nodes.go("tls")
    return nodes


@pytest.fixture(scope="module")
def stranger(net: Segment) -> Host:
    """A host from which everything is reached that listens."""
    return net.host("stranger", pods="10.9.0.3")


def test_a_running_stack_goes_from_plain_to_tls_and_no_document_is_lost(nodes: Nodes, stranger: Host) -> None:
    nodes.go("plain")
    assert all(shakes_hands(stranger, host.address, NODE, spoken="plain") for host in nodes.hosts)
    with nodes.written():
        nodes.go("tls")
    assert nodes.published() == {f"{exit_of(number)}:{EXIT}" for number in ALL}


def test_the_network_shows_a_door_and_nothing_else(closed: Nodes, stranger: Host) -> None:
    for host in closed.hosts:
        assert [port for port in (NODE, DOOR, EXIT) if listens(stranger, port, host.address)] == [DOOR]


def test_only_the_nodes_own_certificate_opens_it(
    closed: Nodes, stranger: Host, authority: Authority, tmp_path: Path
) -> None:
    address = closed.hosts[0].address
    own = authority.identity(PEER, hosts=(PEER,)) / PAIR
    assert shakes_hands(stranger, address, DOOR, pair=own)
    assert not shakes_hands(stranger, address, DOOR), "no certificate"
    assert not shakes_hands(stranger, address, DOOR, spoken="plain")
    assert not shakes_hands(stranger, address, DOOR, pair=own, spoken="TLSv1_2")
    clients = Authority(tmp_path / "clients")
    for name in (*CLIENTS, SERVER, PEER):
        assert not shakes_hands(stranger, address, DOOR, pair=clients.identity(name) / PAIR), name


def test_a_node_says_nothing_to_whoever_is_in_the_place_of_another(
    closed: Nodes, net: Segment, authority: Authority, tmp_path: Path
) -> None:
    number = NODES  # of a node that is not there
    impostor = net.host("impostor", pods=closed.address(number))
    own = authority.identity(PEER, hosts=(PEER,)) / PAIR
    other = Authority(tmp_path / "other").identity(PEER, hosts=(PEER,)) / PAIR
    # It closes the connection as soon as it has seen the certificate, or refuses the handshake.
    for pair, heard in ((own, ("heard b'ES",)), (other, ("heard b''", "failed"))):
        running = start_in(impostor, IMPOSTOR, impostor.address, str(DOOR), str(pair))
        assert running.stdout is not None
        try:
            assert running.stdout.readline().strip() == "ready"
            shakes_hands(closed.hosts[0], exit_of(number), EXIT, spoken="plain")
            assert running.stdout.readline().startswith(heard)
        finally:
            running.kill()
            running.communicate()


def test_a_node_that_is_restarted_joins_again(closed: Nodes) -> None:
    with closed.written():
        closed.restart(1, "tls")
        closed.wait_until_together(*ALL)
        closed.wait_until_green()


def test_a_proxy_that_is_killed_costs_its_node_a_moment(closed: Nodes) -> None:
    with closed.written():
        closed.stop_proxy(2)
        closed.wait_until_together(0, 1, seconds=GONE_SECONDS)
        closed.start_proxy(2)
        closed.wait_until_together(*ALL, seconds=BACK_SECONDS)
        closed.wait_until_green()


@pytest.mark.parametrize("transport", ["plain", "tls"])
def test_a_node_that_is_frozen_or_cut_off_is_left_out_and_comes_back(nodes: Nodes, transport: Transport) -> None:
    """The proxies neither answer in a node's place nor keep others from seeing that it does not."""
    nodes.go(transport)
    took = {}
    for what, of_master in (("frozen", False), ("frozen", True), ("cut off", False)):
        master = nodes.master()
        number = master if of_master else (master + 1) % NODES
        left = [each for each in ALL if each != number]
        name = f"{'the master' if of_master else 'another'}, {what}"
        with nodes.written():
            # What nodes are just telling each other would be waited for.
            services.wait_for("documents", nodes.documents, every=1)
            nodes.wait_until_green()
            began = time.monotonic()
            with frozen(nodes, number) if what == "frozen" else cut_off(nodes, number):
                nodes.wait_until_together(*left, seconds=GONE_SECONDS)
                took[f"{name}: gone"] = time.monotonic() - began
            began = time.monotonic()
            nodes.wait_until_together(*ALL, seconds=BACK_SECONDS)
            took[f"{name}: back"] = time.monotonic() - began
            nodes.wait_until_green()
    print(transport, {name: round(seconds) for name, seconds in took.items()})


@contextmanager
def frozen(nodes: Nodes, number: int) -> Iterator[None]:
    process = services.process_of(nodes.container(number))
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextmanager
def cut_off(nodes: Nodes, number: int) -> Iterator[None]:
    host = nodes.hosts[number]
    host.run("ip", "link", "set", "eth0", "down")
    try:
        yield
    finally:
        host.run("ip", "link", "set", "eth0", "up")


def test_a_stack_goes_back_too(closed: Nodes) -> None:
    with closed.written():
        closed.go("plain")
    assert all(
        listens(closed.client, HTTP, host.address) and not listens(closed.client, DOOR, host.address)
        for host in closed.hosts
    )
