"""The guard of the pods' network, on machines, pods and strangers that are network namespaces: strangers reach no pod,
and the cluster's own traffic passes. Each rule is taken out once, and then its case goes the other way."""

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.integration.cluster.segment import ENDPOINT, PAGE_PORT, TCP_PORT, Host, Node, Segment, segment

SERVICE = "10.96.0.10"
GATEWAY = "10.244.1.1"
"""Node 1's own address on the links of its pods."""


@dataclass(frozen=True)
class World:
    """Two nodes with pods; a stranger beside them, and one in another network of node 1."""

    segment: Segment
    node1: Node
    node2: Node
    pod1: Host
    pod2: Host
    """On node 2."""
    neighbour: Host
    """A second pod on node 1."""
    stranger: Host
    far: Host
    """A stranger in node 1's other network."""

    @property
    def lines(self) -> str:
        return f"{self.node1.line}\n{self.node2.line}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with segment(tmp_path_factory.mktemp("segment")) as made:
        node1 = made.node("node1", "10.244.1.0/24", segment="192.0.2.11", uplink="198.51.100.11")
        node2 = made.node("node2", "10.244.2.0/24", segment="192.0.2.12")
        stranger = made.host("stranger", segment="192.0.2.66")
        far = made.host("far", uplink="198.51.100.66")
        pods = made.pod("pod1", node1, 2), made.pod("pod2", node2, 2), made.pod("neighbour", node1, 3)
        world = World(made, node1, node2, *pods, stranger, far)
        # As kube-proxy does: a service and a node port lead to a pod, and what is no pod's gets the node's address.
        for node in (node1, node2):
            pod = f"{world.pod1.address}:{TCP_PORT}"
            for to in (
                ("--destination", SERVICE),
                ("--match", "addrtype", "--dst-type", "LOCAL", "--destination-port", str(PAGE_PORT)),
            ):
                rule = ("--protocol", "tcp", *to, "--jump", "DNAT", "--to-destination", pod)
                node.run("iptables", "--table", "nat", "--append", "PREROUTING", *rule)
            strangers = ("!", "--source", "10.244.0.0/16", "--match", "conntrack", "--ctstate", "DNAT")
            node.run("iptables", "--table", "nat", "--append", "POSTROUTING", *strangers, "--jump", "MASQUERADE")
        for each in (stranger, far):
            via = node1.addresses["segment" if each is stranger else "uplink"]
            for network in ("10.244.0.0/16", "10.96.0.0/16"):
                each.run("ip", "route", "add", network, "via", via)
        node1.run("ip", "route", "add", "default", "via", far.address)
        node2.run("ip", "route", "add", "default", "via", "192.0.2.1")
        yield world


@pytest.fixture
def world(built: World) -> World:
    for node in (built.node1, built.node2):
        node.connect_pods(built.lines)
    return built


def arrives(sender: Host, receiver: Host, source: str, to: str | None = None) -> Callable[[World], bool]:
    """Whether a datagram under that address arrives. A second one, which nothing stops, says when to look."""

    def tried(world: World) -> bool:
        text, end = uuid.uuid4().hex, uuid.uuid4().hex
        sender.send(to or receiver.address, text, source=source)
        fence = world.node1 if receiver is not world.node1 else world.stranger
        fence.send(to or receiver.address, end, source=fence.address)
        receiver.awaits(end)
        return text in receiver.received()

    return tried


def answered(sender: Host, host: str, port: int = TCP_PORT) -> Callable[[World], bool]:
    """Whether a connection is answered."""
    return lambda _: sender.reached(host, port) is not None


def page(world: World, node: Node) -> Callable[[World], bool]:
    """Whether a stranger opens the page at the virtual IP, which a machine has."""
    for each in (world.node1, world.node2):
        each.run("ip", "address", "del", f"{ENDPOINT}/32", "dev", "eth0", check=False)
    node.run("ip", "address", "add", f"{ENDPOINT}/32", "dev", "eth0")
    world.stranger.run("ip", "neighbour", "flush", "all")
    return answered(world.stranger, ENDPOINT, PAGE_PORT)


Case = Callable[[World], Callable[[World], bool]]

DROP, REVERSE = "-A ARGUS-PREROUTING -j DROP", "-A ARGUS-PREROUTING -m rpfilter --invert -j DROP"
PAGE = (
    f"-A ARGUS-PREROUTING ! -d {ENDPOINT}/32 -p tcp -m tcp --dport {PAGE_PORT} --tcp-flags FIN,SYN,RST,ACK SYN "
    "-m addrtype --dst-type LOCAL -j DROP"
)
OF_PODS = "-A ARGUS-PREROUTING -i veth+ -m rpfilter --invert -j DROP"

REFUSED: dict[str, tuple[list[str], Case]] = {
    "a stranger's route to a pod": (
        [DROP],
        lambda w: answered(w.stranger, w.pod1.address),
    ),
    "a stranger's route to a service": (
        ["-A ARGUS-PREROUTING -d 10.96.0.0/16 -j DROP"],
        lambda w: answered(w.stranger, SERVICE),
    ),
    "a stranger's route through one node to the pod of another": (
        [DROP],
        lambda w: arrives(w.stranger, w.pod2, w.stranger.address),
    ),
    "a stranger under the address of a pod of the node": (
        [REVERSE, DROP],
        lambda w: arrives(w.stranger, w.pod1, w.neighbour.address),
    ),
    "a stranger under an address that no pod of the node has": (
        [DROP],
        lambda w: arrives(w.stranger, w.pod2, "10.244.2.77"),
    ),
    "a pod's address towards the node itself": (
        [DROP],
        lambda w: arrives(w.stranger, w.node2, "10.244.2.77"),
    ),
    "a stranger of another network under a node's address": (
        [REVERSE],
        lambda w: arrives(w.far, w.pod1, w.node2.address),
    ),
    "a stranger of another network under the address of a node's pod": (
        [REVERSE],
        lambda w: arrives(w.far, w.pod1, w.pod2.address),
    ),
    "the page at a machine's own address": (
        [PAGE],
        lambda w: answered(w.stranger, w.node1.address, PAGE_PORT),
    ),
    "a pod under the address of another pod": (
        [OF_PODS],
        lambda w: arrives(w.neighbour, w.pod2, w.pod1.address),
    ),
    "a pod under the address of a machine": (
        [OF_PODS],
        lambda w: arrives(w.pod1, w.node1, w.stranger.address),
    ),
}
"""What is refused, with the rules that do it."""

PASSED: dict[str, tuple[str, Case]] = {
    "a pod to a service": (
        "-A ARGUS-PREROUTING -s 10.244.1.0/24 -i veth+ -j RETURN",
        lambda w: answered(w.neighbour, SERVICE),
    ),
    "a pod to a pod of the same machine": (
        "-A ARGUS-PREROUTING -s 10.244.1.0/24 -i veth+ -j RETURN",
        lambda w: answered(w.neighbour, w.pod1.address),
    ),
    "a pod to a pod of another machine": (
        "-A ARGUS-PREROUTING -s 10.244.2.0/24 -j RETURN",
        lambda w: answered(w.pod2, w.pod1.address),
    ),
    "a machine to a pod of another": (
        "-A ARGUS-PREROUTING -s 192.0.2.12/32 -j RETURN",
        lambda w: answered(w.node2, w.pod1.address),
    ),
    "the page's port on the machine of its pod": (
        "-A ARGUS-PREROUTING ! -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j RETURN",
        lambda w: page(w, w.node1),
    ),
    "the page's port on another machine": (
        "-A ARGUS-PREROUTING -s 192.0.2.12/32 -j RETURN",
        lambda w: page(w, w.node2),
    ),
    "a machine to itself at the pods' gateway": (
        "-A ARGUS-PREROUTING -i lo -j RETURN",
        lambda w: answered(w.node1, GATEWAY),
    ),
}
"""What passes, with the rule that lets it."""


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_and_would_not_be_without_its_rule(world: World, what: str) -> None:
    rules, case = REFUSED[what]
    tried = case(world)
    assert not tried(world)
    for rule in rules:
        world.node1.without(rule)
        world.node2.without(rule)
    assert tried(world), f"it is refused without {rules}"


@pytest.mark.parametrize("what", PASSED)
def test_it_passes_and_would_not_without_its_rule(world: World, what: str) -> None:
    rule, case = PASSED[what]
    tried = case(world)
    assert tried(world)
    world.node1.without(rule)
    assert not tried(world), f"it does not need {rule}"


def test_every_rule_is_in_a_case(world: World) -> None:
    refusing = {rule for rules, _ in REFUSED.values() for rule in rules}
    assert refusing | {rule for rule, _ in PASSED.values()} == set(world.node1.rules())


def test_what_needs_no_rule_passes(world: World) -> None:
    """A machine to its own pod, a pod to machines, and to the world outside under its node's address."""
    assert world.node1.reached(world.pod1.address) == "pod1"
    for there in (world.node1.address, world.node2.address):
        assert world.pod1.reached(there) in {"node1", "node2"}
    assert world.pod1.reached(world.stranger.address) == "stranger"


def test_running_it_again_changes_nothing(world: World) -> None:
    def state() -> list[str]:
        saved = world.node1.run("iptables-save").stdout.splitlines()
        return [line for line in saved if line.startswith("-A ")] + world.node1.run("ip", "route").stdout.splitlines()

    before = state()
    world.node1.connect_pods(world.lines)
    assert state() == before
    assert before.count("-A PREROUTING -j ARGUS-PREROUTING") == 1


def test_machines_come_and_go_and_no_packet_between_the_others_is_lost(world: World) -> None:
    node3 = world.segment.node("node3", "10.244.3.0/24", segment="192.0.2.13")
    pod3 = world.segment.pod("pod3", node3, 2)
    three = f"{world.lines}{node3.line}\n"
    node3.connect_pods(three)
    assert not answered(node3, world.pod1.address)(world)
    stop, sent = threading.Event(), list[str]()

    def send() -> None:
        while not stop.wait(0.005):
            sent.append(f"numbered {len(sent)}")
            world.pod2.send(world.pod1.address, sent[-1], source=world.pod2.address)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(5):
            world.node1.connect_pods(three)
            assert answered(node3, world.pod1.address)(world)
            assert answered(pod3, world.pod1.address)(world)
            world.node1.connect_pods(world.lines)
            assert not answered(node3, world.pod1.address)(world)
    finally:
        stop.set()
        sender.join()
    world.pod1.awaits(sent[-1])
    assert set(sent) <= set(world.pod1.received())


def test_its_undo_leaves_nothing(world: World) -> None:
    world.node1.disconnect_pods()
    assert answered(world.stranger, world.pod1.address)(world), "the stranger is refused by something else"
    assert "ARGUS" not in world.node1.run("iptables-save").stdout
    for path in ("/etc/argus", "/usr/local/lib/argus", "/etc/systemd/system/argus-network.service"):
        assert world.node1.run("test", "-e", path, check=False).returncode == 1, path


def test_a_machine_that_would_come_under_another_address_is_refused_before_anything_changes(world: World) -> None:
    world.node2.disconnect_pods()
    world.node2.run("ip", "address", "del", "192.0.2.12/24", "dev", "eth0")
    for address in ("192.0.2.99", "192.0.2.12"):
        world.node2.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    try:
        refused = world.node2.connect_pods(world.lines, check=False)
        assert refused.returncode != 0
        assert "node2 sends to 192.0.2.11 from 192.0.2.99 and not from its own address, 192.0.2.12" in refused.stderr
        assert world.node2.run("test", "-e", "/etc/argus", check=False).returncode != 0
    finally:
        world.node2.run("ip", "address", "del", "192.0.2.99/24", "dev", "eth0")
        world.node2.run("ip", "address", "replace", "192.0.2.12/24", "dev", "eth0")


def test_a_machine_without_a_route_to_another_says_so_before_anything_changes(world: World) -> None:
    world.node2.disconnect_pods()
    world.node2.run("ip", "route", "add", "unreachable", "192.0.2.11")
    try:
        refused = world.node2.connect_pods(world.lines, check=False)
    finally:
        world.node2.run("ip", "route", "del", "192.0.2.11")
    assert refused.returncode != 0
    said = "node2 has no route to 192.0.2.11 (No route to host): bring its network link up, or give it a route there"
    assert said in refused.stderr
    assert world.node2.run("test", "-e", "/etc/argus", check=False).returncode != 0


def test_a_machine_behind_a_router_is_refused_before_anything_changes(world: World) -> None:
    world.node2.disconnect_pods()
    refused = world.node2.connect_pods(f"{world.node2.line}\nfar 203.0.113.5 10.244.3.0/24\n", check=False)
    assert refused.returncode != 0
    assert "node2 reaches 203.0.113.5 through a router only, and routes to pods lead from machine" in refused.stderr
    assert world.node2.run("test", "-e", "/etc/argus", check=False).returncode != 0
    kernel = world.node2.run("ip", "route", "add", "10.244.3.0/24", "via", "203.0.113.5", check=False)
    assert kernel.returncode != 0, "the kernel takes such a route"
