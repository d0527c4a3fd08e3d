"""The host firewall, on machines, pods and strangers that are network namespaces: who opens the ports of the machines'
own programs, and who does not. Scripts and kernel are real, the cluster's programs are stand-ins that listen."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from components.cluster.args import ClusterArgs
from components.cluster.firewall_admission import admission_of
from components.cluster.host_firewall import firewall_of, lines
from components.cluster.machine import script
from components.config.sections import Worker
from tests.integration.cluster.segment import Host, Node, Segment, segment
from tests.unit.components.cluster.conftest import cluster_args, cluster_section, machine, machines, worker

ETCD, PEERS, KUBELET, KUBE_PROXY, API, BALANCER = 2379, 2380, 10250, 10256, 6443, 8443
PORTS = (ETCD, PEERS, KUBELET, KUBE_PROXY, API, BALANCER)
CONTROL_PLANES = [machine(f"cp{n}", f"192.0.2.1{n}") for n in (1, 2, 3)]
WORKER, LATER = worker("worker1", "192.0.2.21"), worker("worker2", "192.0.2.22")
OFFICE = "198.51.100.66"
LIST = "/etc/argus/firewall-nodes"


@dataclass(frozen=True)
class World:
    """Three control planes, of which two take part, a worker, pods, and strangers."""

    segment: Segment
    nodes: dict[str, Node]
    pod1: Host
    """On cp1."""
    pod: Host
    """On the worker."""
    stranger: Host
    office: Host
    """In another network of cp1."""

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def refuse_strangers(self, args: ClusterArgs) -> None:
        for each in args.all_machines:
            self[each.name].refuse_strangers(args, listed(args))


def stack(*others: Worker, control_planes: int = 2, **cluster: object) -> ClusterArgs:
    """The first control planes, the worker, and others."""
    return cluster_args(
        machines=machines(CONTROL_PLANES[:control_planes], [WORKER, *others]), cluster=cluster_section(**cluster)
    )


def listed(args: ClusterArgs) -> str:
    return "".join(f"{line}\n" for line in lines(args.all_machines))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with segment(tmp_path_factory.mktemp("segment")) as made:
        nodes = {}
        for number, each in enumerate([*CONTROL_PLANES, WORKER, LATER], start=1):
            uplink = {"uplink": "198.51.100.11"} if each.name == "cp1" else {}
            nodes[each.name] = made.node(each.name, f"10.244.{number}.0/24", segment=each.host, **uplink)
        stranger = made.host("stranger", segment="192.0.2.66")
        office = made.host("office", uplink=OFFICE)
        world = World(
            made, nodes, made.pod("pod1", nodes["cp1"], 2), made.pod("pod", nodes["worker1"], 2), stranger, office
        )
        pods = "".join(f"{each.line}\n" for each in nodes.values())
        for node in nodes.values():
            node.listen(*PORTS)
            node.connect_pods(pods)
        yield world


@pytest.fixture
def world(built: World) -> Iterator[World]:
    yield built
    for each in built.nodes.values():
        each.run("sh", "-c", script("host_firewall_delete.sh").render())


def opened(client: Host, server: Node, ports: Sequence[int] = PORTS) -> set[int]:
    """Those ports of a machine that a host opens."""
    return client.opened(server, ports)


def test_strangers_open_the_api_alone_and_without_the_firewall_everything(world: World) -> None:
    for each in ("cp1", "worker1"):
        assert opened(world.stranger, world[each]) == set(PORTS)
    world.refuse_strangers(stack())
    assert opened(world.stranger, world["cp1"]) == {API, BALANCER}
    # Nothing of the cluster's listens there on a worker.
    assert opened(world.stranger, world["worker1"]) == set(PORTS) - {KUBELET, KUBE_PROXY}


def test_machines_and_pods_open_what_they_need(world: World) -> None:
    world.refuse_strangers(stack())
    assert opened(world["cp2"], world["cp1"]) == set(PORTS)
    assert opened(world["cp1"], world["cp1"]) == set(PORTS), "it asks itself"
    assert {port: world["cp1"].reached("127.0.0.1", port) for port in PORTS} == dict.fromkeys(PORTS, "cp1")
    assert opened(world["worker1"], world["cp1"]) == set(PORTS) - {ETCD, PEERS}
    assert {KUBELET, KUBE_PROXY} <= opened(world["cp1"], world["worker1"])
    # metrics-server and the page ask kubelets, of their own machine and of others.
    for pod in (world.pod1, world.pod):
        for each in ("cp1", "cp2", "worker1"):
            assert KUBELET in opened(pod, world[each], (KUBELET,)), (pod.name, each)
        assert opened(pod, world["cp1"], (API, BALANCER)) == {API, BALANCER}


def test_no_pod_opens_etcd_although_its_machine_may(world: World) -> None:
    assert opened(world.pod1, world["cp2"], (ETCD, PEERS)) == {ETCD, PEERS}
    world.refuse_strangers(stack())
    for pod in (world.pod1, world.pod):
        for each in ("cp1", "cp2"):
            assert opened(pod, world[each], (ETCD, PEERS)) == set(), (pod.name, each)
    assert world["cp1"].reached(world["cp2"].address, ETCD) == "cp2"


def test_an_address_of_version_6_is_no_way_in(world: World) -> None:
    address = "fd00::11"
    for host, own in ((world["cp1"], address), (world.stranger, "fd00::66")):
        host.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0")
        host.run("ip", "-6", "address", "replace", f"{own}/64", "dev", "eth0", "nodad")
    assert world.stranger.reached(address, KUBELET) == "cp1"
    world.refuse_strangers(stack(apiClients=["192.0.2.0/24"]))
    for port in PORTS:
        assert world.stranger.reached(address, port) is None, port
        assert world["cp1"].reached(address, port) == "cp1", port
    world.refuse_strangers(stack())
    assert world.stranger.reached(address, API) == "cp1"
    assert world.stranger.reached(address, ETCD) is None


def test_the_api_is_for_its_clients_the_cluster_and_nobody_else(world: World) -> None:
    world.refuse_strangers(stack(apiClients=["203.0.113.0/24", OFFICE]))
    assert opened(world.stranger, world["cp1"]) == set()
    at_uplink = [world.office.reached("198.51.100.11", port) for port in (API, BALANCER, ETCD, KUBELET)]
    assert at_uplink == ["cp1", "cp1", None, None]
    for client in (world["cp2"], world["worker1"], world.pod1, world.pod):
        assert opened(client, world["cp1"], (API, BALANCER)) == {API, BALANCER}, client.name
    world.refuse_strangers(stack(apiClients=["192.0.2.64/26"]))
    assert opened(world.stranger, world["cp1"]) == {API, BALANCER}


def test_a_connection_that_exists_goes_on(world: World) -> None:
    """So a mistake breaks no cluster at once, and a firewall that is set anew breaks nothing."""
    world.office.hold("198.51.100.11", API)
    world["cp2"].hold(world["cp1"].address, ETCD)
    world.refuse_strangers(stack(apiClients=["192.0.2.0/24"]))
    assert world.office.reached("198.51.100.11", API) is None
    assert world.office.echoed("198.51.100.11", API) == "still here"
    assert world["cp2"].echoed(world["cp1"].address, ETCD) == "still here"
    world.office.leave("198.51.100.11", API)
    world["cp2"].leave(world["cp1"].address, ETCD)


@pytest.mark.parametrize("port", [ETCD, KUBELET])
def test_who_is_connected_and_would_be_cut_off_stops_the_step_before_anything_changes(world: World, port: int) -> None:
    """So a machine that another one sees under a changed address is found while nothing is refused."""
    world.stranger.hold(world["cp1"].address, port)
    try:
        refused = world["cp1"].refuse_strangers(stack(), listed(stack()), check=False)
    finally:
        world.stranger.leave(world["cp1"].address, port)
    assert refused.returncode != 0
    assert "192.0.2.66 has a connection to cp1 at 10250, 10256, 2379, 2380 and is no machine" in refused.stderr
    assert "argus:cluster.hostFirewall: off" in refused.stderr
    assert opened(world.stranger, world["cp1"]) == set(PORTS)
    # Once it is set, nobody has such a connection who was not let in.
    world.refuse_strangers(stack())
    world["cp2"].hold(world["cp1"].address, ETCD)
    alone = stack(control_planes=1)
    world["cp1"].refuse_strangers(alone, listed(alone))
    world["cp2"].leave(world["cp1"].address, ETCD)


def test_an_update_that_would_shut_itself_out_of_the_api_is_refused(world: World) -> None:
    def updated(*clients: str) -> "subprocess.CompletedProcess[str]":
        """An update over SSH from the office, by a user who becomes root with `sudo`, which hides the variable."""
        args = stack(apiClients=clients)
        login = f"env --unset=SSH_CONNECTION {firewall_of(args, args.all_machines[0]).render()}; exit $?"
        environment = ("env", f"SSH_CONNECTION={OFFICE} 50000 198.51.100.11 22")
        return world["cp1"].run(*environment, "sh", "-c", login, stdin=listed(args), check=False)

    refused = updated("203.0.113.0/24")
    assert refused.returncode != 0
    assert f"this update comes from {OFFICE}, which argus:cluster.apiClients would shut out: add it" in refused.stderr
    assert world.office.reached("198.51.100.11", API) == "cp1"
    assert updated("203.0.113.0/24", "198.51.100.64/30").returncode == 0
    assert world.office.reached("198.51.100.11", API) == "cp1"


def admit(world: World, args: ClusterArgs) -> None:
    """The control planes that there are let new machines in, as an update does before these join."""
    for each in args.machines.control_planes:
        world[each.name].run("sh", "-c", admission_of(args).render())


def test_a_control_plane_that_joins_is_let_in_before_and_nobody_is_shut_out_meanwhile(world: World) -> None:
    world.refuse_strangers(stack())
    larger = stack(control_planes=3)
    assert opened(world["cp3"], world["cp1"]) == {API, BALANCER}
    admit(world, larger)
    for each in ("cp1", "cp2"):
        assert opened(world["cp3"], world[each]) == set(PORTS)
        assert opened(world[each], world["cp3"]) == set(PORTS)
        assert KUBELET in opened(world["worker1"], world[each])
    assert "argus-firewall" not in world["cp3"].run("ls", "/etc/systemd/system").stdout
    world.refuse_strangers(larger)
    for each in ("cp1", "cp2"):
        assert opened(world["cp3"], world[each]) == opened(world[each], world["cp3"]) == set(PORTS)
    assert opened(world.stranger, world["cp3"]) == {API, BALANCER}


def test_a_worker_that_joins_reaches_an_api_that_is_not_for_everybody(world: World) -> None:
    world.refuse_strangers(stack(apiClients=[OFFICE]))
    larger = stack(LATER, apiClients=[OFFICE])
    assert opened(world["worker2"], world["cp1"]) == set()
    admit(world, larger)
    assert opened(world["worker2"], world["cp1"], (API, BALANCER, ETCD)) == {API, BALANCER}
    world.refuse_strangers(larger)
    assert opened(world["worker2"], world["cp2"]) == set(PORTS) - {ETCD, PEERS}


def test_who_leaves_is_let_in_until_it_is_no_node_any_more(world: World) -> None:
    smaller = stack(control_planes=1)
    leaving = f"{listed(smaller)}192.0.2.12 control-plane leaving\n"
    cp1, cp2 = world["cp1"], world["cp2"]
    cp1.refuse_strangers(smaller, leaving)

    def after(nodes: str) -> set[int]:
        timer(cp1, nodes)
        return opened(cp2, cp1)

    gone = answers(smaller)
    cp1.run("rm", "-f", "/run/kubelet.service-is-active")
    assert after(gone) == set(PORTS), "the API is not asked before the kubelet runs"
    cp1.run("touch", "/run/kubelet.service-is-active")
    assert after(answers(stack())) == set(PORTS)
    assert after("exit 1") == set(PORTS)
    assert after("exit 0") == set(PORTS)
    assert after(gone) == {API, BALANCER}
    assert cp1.run("cat", LIST).stdout == listed(smaller)
    assert KUBELET in opened(world["worker1"], cp1)


def answers(args: ClusterArgs) -> str:
    """What kubectl does where these machines are the nodes."""
    return "; ".join(f"echo {line}" for line in lines(args.all_machines))


def timer(node: Node, nodes: str) -> None:
    """The timer's run, while kubectl does this."""
    node.run("tee", "/usr/local/sbin/kubectl", stdin=f"#!/bin/sh\n{nodes}\n")
    node.run("chmod", "+x", "/usr/local/sbin/kubectl")
    node.run("systemctl", "start", "argus-firewall.service")


@pytest.mark.parametrize(
    ("larger", "clients"), [(stack(control_planes=3), ()), (stack(LATER, apiClients=[OFFICE]), (OFFICE,))]
)
def test_who_was_let_in_and_never_joined_is_shut_out_once_the_stack_has_it_no_more(
    world: World, larger: ClusterArgs, clients: Sequence[str]
) -> None:
    without = stack(apiClients=clients)
    (new,) = {each.name for each in larger.all_machines} - {each.name for each in without.all_machines}
    cp1 = world["cp1"]
    cp1.run("touch", "/run/kubelet.service-is-active")
    world.refuse_strangers(without)
    shut = opened(world[new], cp1)
    admit(world, larger)
    open_ = opened(world[new], cp1)
    assert shut < open_
    timer(cp1, answers(without))
    assert opened(world[new], cp1) == open_, "it may still join"
    for _ in range(2):
        # The next update is of the stack without it, and one more changes its mind.
        admit(world, without)
        assert opened(world[new], cp1) == open_, "nobody is shut out before the cluster is asked"
        admit(world, larger)
        timer(cp1, answers(without))
        assert opened(world[new], cp1) == open_
    admit(world, without)
    timer(cp1, answers(without))
    assert opened(world[new], cp1) == shut
    assert cp1.run("cat", LIST).stdout == listed(without)
    assert KUBELET in opened(world["worker1"], cp1)
    assert opened(world["cp2"], cp1) == set(PORTS)


def rules(node: Node) -> list[str]:
    """All rules of both versions."""
    return [
        line
        for program in ("iptables-save", "ip6tables-save")
        for line in node.run(program).stdout.splitlines()
        if line.startswith(("-A", "-P"))
    ]


def test_running_it_again_changes_nothing(world: World) -> None:
    world.refuse_strangers(stack())
    before = rules(world["cp1"])
    world.refuse_strangers(stack())
    world["cp1"].run("systemctl", "restart", "argus-firewall.service")
    assert rules(world["cp1"]) == before
    assert before.count("-A INPUT -j ARGUS-FIREWALL") == 2


def test_what_others_do_with_their_tables_opens_nothing(world: World) -> None:
    """A firewall that starts anew, one that accepts everything first, and a flush of all there is."""
    world.refuse_strangers(stack())
    cp1 = world["cp1"]
    cp1.run("iptables-restore", stdin="*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n")
    for table in ("filter", "mangle"):
        cp1.run("iptables", "--table", table, "--flush")
    cp1.run("iptables", "--insert", "INPUT", "--jump", "ACCEPT")
    assert opened(world.stranger, cp1) == {API, BALANCER}
    for command in ("--flush", "--delete-chain"):
        cp1.run("iptables", "--table", "security", command)
    assert opened(world.stranger, cp1) == set(PORTS)
    cp1.run("systemctl", "start", "argus-firewall.service")
    assert opened(world.stranger, cp1) == {API, BALANCER}
    cp1.run("iptables", "--flush", "INPUT")


def test_what_another_firewall_refuses_stays_refused(world: World) -> None:
    cp2 = world["cp2"]
    cp2.run("iptables", "--append", "INPUT", "--protocol", "tcp", "--dport", str(API), "--jump", "DROP")
    world.refuse_strangers(stack())
    assert opened(world.stranger, cp2) == {BALANCER}
    assert opened(world["cp1"], cp2) == set(PORTS) - {API}
    cp2.run("iptables", "--flush", "INPUT")


@pytest.mark.parametrize("how", ["off", "undone"])
def test_taken_away_it_leaves_nothing(world: World, how: str) -> None:
    cp1 = world["cp1"]
    before = rules(cp1)
    world.refuse_strangers(stack())
    assert rules(cp1) != before
    for _ in range(2):
        if how == "off":
            cp1.refuse_strangers(stack(hostFirewall="off"), "")
        else:
            cp1.run("sh", "-c", script("host_firewall_delete.sh").render())
    kept = [line for line in rules(cp1) if not line.startswith("-P")]
    assert kept == [line for line in before if not line.startswith("-P")]
    assert opened(world.stranger, cp1) == set(PORTS)
    found = cp1.run("find", "/etc/argus", "/etc/systemd/system", "/usr/local/lib/argus", "/var/lib/argus").stdout
    assert "firewall" not in found


def test_a_machine_that_sends_under_another_address_is_refused_before_anything_changes(world: World) -> None:
    cp2 = world["cp2"]
    cp2.run("ip", "address", "del", "192.0.2.12/24", "dev", "eth0")
    for address in ("192.0.2.99", "192.0.2.12"):
        cp2.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    try:
        refused = cp2.refuse_strangers(stack(), listed(stack()), check=False)
        assert refused.returncode != 0
        assert "cp2 sends to 192.0.2.11 from 192.0.2.99 and not from its own address, 192.0.2.12" in refused.stderr
        assert "ARGUS-FIREWALL" not in cp2.run("iptables-save").stdout
    finally:
        cp2.run("ip", "address", "del", "192.0.2.99/24", "dev", "eth0")
        cp2.run("ip", "address", "replace", "192.0.2.12/24", "dev", "eth0")


def test_a_machine_without_a_route_to_another_says_so_and_changes_nothing(world: World) -> None:
    cp2 = world["cp2"]
    cp2.run("ip", "route", "del", "192.0.2.0/24", "dev", "eth0")
    try:
        refused = cp2.refuse_strangers(stack(), listed(stack()), check=False)
        assert refused.returncode != 0
        said = "cp2 has no route to 192.0.2.11 (Network is unreachable): bring its network link up, or give it a route"
        assert said in refused.stderr
        assert "ARGUS-FIREWALL" not in cp2.run("iptables-save").stdout
    finally:
        cp2.run("ip", "route", "add", "192.0.2.0/24", "dev", "eth0", "src", "192.0.2.12")


def test_a_list_that_did_not_arrive_shuts_nobody_out(world: World) -> None:
    refused = world["cp1"].refuse_strangers(stack(), "", check=False)
    assert refused.returncode != 0
    assert "the list of nodes did not arrive" in refused.stderr
    assert opened(world.stranger, world["cp1"]) == set(PORTS)
