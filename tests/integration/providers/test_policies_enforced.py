"""Network policies enforced beside Argus's own network: the real program of containers/network-policies judges pods of
two machines, all network namespaces, by what a real API server says. Needs root, and compiles the program once."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.config import ROOT
from lab.toolchain import go_compiler
from tests.integration.cluster.segment import POD_NETWORK, TCP_PORT, UDP_PORT, Host, Node, Segment, segment
from tests.integration.providers.conftest import ApiServer
from tests.integration.services import wait_for

pytestmark = pytest.mark.full
"""The first build takes minutes."""

LIMIT_S = 60
NAMES = "10.96.0.10"
"""A service of two pods, as that of names is."""
CLONE_NEWNET = 0x40000000
SOURCE = ROOT / "containers/network-policies"

PORTS = [{"port": TCP_PORT, "protocol": "TCP"}, {"port": UDP_PORT, "protocol": "UDP"}]


def policy(name: str, pods: dict[str, Any], **rules: list[dict[str, Any]]) -> dict[str, Any]:
    """A policy for these pods of `video`, in both directions: what no rule allows is refused."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "video"},
        "spec": {"podSelector": pods, "policyTypes": ["Ingress", "Egress"], **rules},
    }


def app(name: str) -> dict[str, Any]:
    """A selector of pods."""
    return {"matchLabels": {"app": name}}


OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "video"}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "others"}},
    policy("server", app("server"), ingress=[{"from": [{"podSelector": app("client")}], "ports": PORTS}]),
    policy(
        "client",
        app("client"),
        egress=[
            {"to": [{"podSelector": app("server")}], "ports": PORTS},
            {
                "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "others"}}}],
                "ports": [{"port": UDP_PORT, "protocol": "UDP"}],
            },
        ],
    ),
    policy("default-deny", {}),
    {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "network-policies", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "network-policies"}},
            "template": {
                "metadata": {"labels": {"k8s-app": "network-policies"}},
                "spec": {"containers": [{"name": "network-policies", "image": "x"}]},
            },
        },
    },
]


@dataclass
class Machine:
    """A node, and the program on it."""

    node: Node
    program: Path
    kubeconfig: Path
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start the program, and wait until it keeps its rules."""
        command = [
            *("nsenter", f"--target={self.node.process.pid}", "--net", "--mount", str(self.program)),
            *("-kubeconfig", str(self.kubeconfig), "-node", self.node.name, "-pods", POD_NETWORK),
            *("-folder", "/var/lib/argus/network-policies", "-daemonset", "kube-system/network-policies"),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

        def keeps() -> bool:
            assert self.healthy(), self.log.read_text()[-3000:]
            return True

        eventually("the program to keep its rules", keeps)

    def healthy(self) -> bool:
        """Whether it says that policies are enforced."""
        ask = "exec 3<>/dev/tcp/127.0.0.1/10246; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3"
        return " 200 " in self.node.run("bash", "-c", ask, check=False).stdout

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell it to end, and wait."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def rules(self) -> str:
        """All rules that hand something to a program, and their chains."""
        saved = self.node.run("iptables-save", "--table", "mangle").stdout.splitlines()
        return "\n".join(line for line in saved if "ARGUS" in line or "NFQUEUE" in line)


@dataclass
class World:
    """Two machines whose pods are known to an API server."""

    api: ApiServer
    segment: Segment
    machines: dict[str, Machine] = field(default_factory=dict)
    pods: dict[str, Host] = field(default_factory=dict)

    def pod(self, name: str, node: str, number: int, namespace: str, app: str, *, known: bool = True) -> Host:
        """A pod, and its object with its address, unless the API server is not told of that yet."""
        made = self.segment.pod(name, self.machines[node].node, number)
        self.pods[name] = made
        spec = {"nodeName": node, "automountServiceAccountToken": False, "containers": [{"name": "x", "image": "x"}]}
        metadata = {"name": name, "namespace": namespace, "labels": {"app": app}}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        if known:
            self.tell(name, namespace)
        return made

    def tell(self, name: str, namespace: str) -> None:
        """Say the pod's address, as its kubelet does."""
        address = self.pods[name].address
        self.status("pod", name, namespace, {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]})

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.api.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def status(self, kind: str, name: str, namespace: str, status: dict[str, Any]) -> None:
        """Write an object's status."""
        patch = json.dumps({"status": status})
        self.api.kubectl("patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)

    @property
    def lines(self) -> str:
        """What node_networks.sh prints."""
        return "".join(f"{each.node.line}\n" for each in self.machines.values())


def eventually(what: str, condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    wait_for(what, condition, seconds=LIMIT_S, every=0.2)


def reach(client: Host, server: Host) -> Callable[[], bool]:
    """Whether the client's connection is answered."""
    return lambda: client.reached(server.address) is not None


@contextlib.contextmanager
def passed_on(pid: int, port: int) -> Iterator[None]:
    """In the namespace of that process, listen on loopback, and pass each connection on to the same port here."""
    made: list[socket.socket] = []

    def listen() -> None:
        with Path(f"/proc/{pid}/ns/net").open() as there:
            assert ctypes.CDLL(None, use_errno=True).setns(there.fileno(), CLONE_NEWNET) == 0
        made.append(socket.create_server(("127.0.0.1", port)))

    # Another namespace is one thread's alone, and its socket stays there.
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = made[0].accept()
                server = socket.create_connection(("127.0.0.1", port))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=copy, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        made[0].shutdown(socket.SHUT_RDWR)
        made[0].close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, as its image's Dockerfile builds it, but with this computer's Go, or the one that
    ARGUS_TEST_NETWORK_POLICIES names."""
    if given := os.environ.get("ARGUS_TEST_NETWORK_POLICIES"):
        return Path(given)
    built = tmp_path_factory.mktemp("program") / "network-policies"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}
    subprocess.run(
        [go_compiler.ensure().program, "build", "-trimpath", "-ldflags", "-s -w", "-o", built, "."],
        cwd=SOURCE,
        env=environment,
        check=True,
    )
    return built


@pytest.fixture(scope="module")
def built(api_server: ApiServer, program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("segment")
    server = json.loads(api_server.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    with contextlib.ExitStack() as stack:
        world = World(api_server, stack.enter_context(segment(folder)))
        world.apply(*OBJECTS)
        for number, name in enumerate(("node1", "node2"), start=1):
            address = f"192.0.2.1{number}"
            node = world.segment.node(name, f"10.244.{number}.0/24", segment=address)
            stack.enter_context(passed_on(node.process.pid, int(server.rpartition(":")[2])))
            world.machines[name] = Machine(node, program, api_server.kubeconfig, folder / f"{name}.log")
            spec = {"podCIDR": node.pods_network, "podCIDRs": [node.pods_network]}
            world.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})
            # One that says that it has a pod's address does not make that pod a machine.
            addresses = [{"type": "InternalIP", "address": each} for each in (address, "10.244.1.3")]
            world.status("node", name, "", {"addresses": addresses})
        world.pod("server", "node1", 2, "video", "server")
        world.pod("stranger", "node1", 3, "others", "client")
        world.pod("names1", "node1", 4, "others", "names")
        world.pod("client", "node2", 2, "video", "client")
        world.pod("unlike", "node2", 3, "video", "unlike")
        world.pod("names2", "node2", 4, "others", "names")
        for machine in world.machines.values():
            backends = [world.pods[name].address for name in ("names1", "names2")]
            half = ("-m", "statistic", "--mode", "random", "--probability", "0.5")
            for chance, backend in zip((half, ()), backends, strict=True):
                rule = ("-d", NAMES, *chance, "-j", "DNAT", "--to-destination", backend)
                machine.node.run("iptables", "-t", "nat", "-A", "PREROUTING", *rule)
        yield world
        for machine in world.machines.values():
            machine.stop(signal.SIGKILL)


@pytest.fixture
def world(built: World) -> Iterator[World]:
    """Both machines enforce policies."""
    for machine in built.machines.values():
        machine.stop(signal.SIGKILL)
        machine.node.connect_pods(built.lines, policies="enforced")
        machine.start()
    yield built


ALLOWED = {("client", "server"), ("stranger", "names1"), ("stranger", "names2")}
REFUSED = {
    ("unlike", "server"),
    ("stranger", "server"),
    ("stranger", "client"),
    ("stranger", "unlike"),
    ("server", "client"),
    ("server", "names1"),
    ("client", "names1"),
    ("client", "stranger"),
    ("client", "unlike"),
    ("unlike", "names2"),
}


def test_what_policies_allow_passes_and_nothing_else(world: World) -> None:
    for client, server in sorted(ALLOWED | REFUSED):
        reached = world.pods[client].reached(world.pods[server].address)
        assert reached == (server if (client, server) in ALLOWED else None), (client, server)


def test_without_the_program_all_of_that_is_open(world: World) -> None:
    """So the refusals above are its own."""
    for machine in world.machines.values():
        machine.node.connect_pods(world.lines)
    for client, server in sorted(ALLOWED | REFUSED):
        assert world.pods[client].reached(world.pods[server].address) == server, (client, server)


def test_datagrams_are_judged_too(world: World) -> None:
    for client, passes in (("client", True), ("unlike", False)):
        sender, receiver, text = world.pods[client], world.pods["server"], f"from {client} {time.monotonic_ns()}"
        sender.send(receiver.address, text, source=sender.address)
        fence = f"{text}, then the client"
        world.pods["client"].send(receiver.address, fence, source=world.pods["client"].address)
        receiver.awaits(fence)
        assert (text in receiver.received()) == passes


def test_two_questions_at_once_from_one_port_are_both_answered(world: World) -> None:
    """A resolver asks for A and AAAA so. Each is judged by itself, and kube-proxy chooses a pod for each."""
    sender, texts = world.pods["client"], [f"{time.monotonic_ns()} {number}" for number in range(40)]
    script = (
        "import socket, sys\n"
        "for first, second in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"    asked.connect(('{NAMES}', {UDP_PORT}))\n"
        "    asked.send(first.encode()), asked.send(second.encode())\n"
    )
    sender.run("python3", "-c", script, *texts)

    def all_arrived() -> bool:
        missing = set(texts) - {text for name in ("names1", "names2") for text in world.pods[name].received()}
        assert not missing, missing
        return True

    eventually("every question", all_arrived)


def test_machines_reach_every_pod_and_pods_reach_machines_by_their_policies(world: World) -> None:
    for machine in world.machines.values():
        for pod in world.pods.values():
            assert machine.node.reached(pod.address) == pod.name
        assert world.pods["client"].reached(machine.node.address) is None
        assert world.pods["server"].reached(machine.node.address) is None
        assert world.pods["stranger"].reached(machine.node.address) == machine.node.name


def test_a_pod_that_is_not_known_yet_reaches_nobody_and_is_reached_by_nobody(world: World) -> None:
    new, stranger = world.pod("new", "node2", 9, "video", "client", known=False), world.pods["stranger"]
    assert new.reached(world.pods["server"].address) is None
    assert new.reached(world.pods["names1"].address) is None
    assert new.reached(world.machines["node1"].node.address) is None
    assert stranger.reached(new.address) is None
    world.tell("new", "video")
    eventually("the new pod is a client", reach(new, world.pods["server"]))
    assert new.reached(world.pods["names1"].address) is None


def test_the_address_of_a_pod_that_has_ended_is_nobodys(world: World) -> None:
    """Its object stays, with its address, and a pod that gets that one is not taken for it."""
    ended = world.pod("ended", "node2", 10, "video", "client")
    eventually("it is a client", reach(ended, world.pods["server"]))
    world.status("pod", "ended", "video", {"phase": "Succeeded"})
    eventually("its address is nobody's", lambda: not reach(ended, world.pods["server"])())


def test_a_policy_that_changes_holds_for_new_connections(world: World) -> None:
    unlike, server = world.pods["unlike"], world.pods["server"]
    world.api.kubectl("label", "pod", "unlike", "-n", "video", "app=client", "--overwrite")
    eventually("the pod is a client now", reach(unlike, server))
    world.api.kubectl("label", "pod", "unlike", "-n", "video", "app=unlike", "--overwrite")
    eventually("and is none any more", lambda: not reach(unlike, server)())


def test_while_the_program_is_away_connections_go_on_and_new_ones_wait(world: World) -> None:
    client, server = world.pods["client"], world.pods["server"]
    namespace = ("nsenter", "--net", "--target")
    echo = (
        f"import socket\nlistener = socket.create_server(('0.0.0.0', {TCP_PORT + 1}))\nprint('ready', flush=True)\n"
        "taken, _ = listener.accept()\nwhile data := taken.recv(100):\n    taken.sendall(data)\n"
    )
    talk = (
        f"import socket, sys\nopen = socket.create_connection(('{server.address}', {TCP_PORT + 1}), 10)\n"
        "for line in sys.stdin:\n    open.sendall(line.encode())\n    print(open.recv(100).decode(), end='', flush=True)\n"
    )
    world.api.kubectl(
        *("patch", "networkpolicy", "server", "-n", "video", "--type=json", "-p"),
        json.dumps([{"op": "add", "path": "/spec/ingress/0/ports/-", "value": {"port": TCP_PORT + 1}}]),
    )
    world.api.kubectl(
        *("patch", "networkpolicy", "client", "-n", "video", "--type=json", "-p"),
        json.dumps([{"op": "add", "path": "/spec/egress/0/ports/-", "value": {"port": TCP_PORT + 1}}]),
    )
    with contextlib.ExitStack() as stack:
        ends = []
        for host, script in ((server, echo), (client, talk)):
            end = subprocess.Popen(
                [*namespace, str(host.process.pid), "python3", "-uc", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(end.wait)
            stack.callback(end.kill)
            assert end.stdin is not None
            assert end.stdout is not None
            if not ends:
                assert end.stdout.readline() == "ready\n"
            ends.append(end)
        talking = ends[1]

        def says(word: str) -> str:
            assert talking.stdin is not None
            assert talking.stdout is not None
            talking.stdin.write(f"{word}\n")
            talking.stdin.flush()
            return talking.stdout.readline()

        assert says("before") == "before\n"
        for machine in world.machines.values():
            machine.stop(signal.SIGKILL)
        assert says("meanwhile") == "meanwhile\n"
        assert client.reached(server.address) is None
        for machine in world.machines.values():
            machine.start()
        assert says("after") == "after\n"
        eventually("new connections pass again", reach(client, server))


def test_told_to_end_it_leaves_its_rules_unless_it_ends_for_good(world: World) -> None:
    machine = world.machines["node1"]
    machine.stop()
    assert "NFQUEUE" in machine.rules()
    assert not reach(world.pods["client"], world.pods["server"])()
    machine.start()
    daemon_set = next(each for each in OBJECTS if each["kind"] == "DaemonSet")
    world.api.kubectl("delete", "daemonset", "network-policies", "-n", "kube-system")
    try:
        for each in world.machines.values():
            each.stop()
            assert each.rules() == ""
        assert reach(world.pods["stranger"], world.pods["server"])()
    finally:
        world.apply(daemon_set)


def test_a_machine_that_starts_again_is_closed_until_the_program_runs(world: World) -> None:
    machine, client, server = world.machines["node1"], world.pods["client"], world.pods["server"]
    kept = machine.rules()
    machine.stop(signal.SIGKILL)
    # What a start of the machine leaves of the rules, and what its own service then does.
    machine.node.run("iptables", "-t", "mangle", "-F")
    machine.node.run("iptables", "-t", "mangle", "-X")
    assert machine.rules() == ""
    machine.node.run("/usr/local/lib/argus/network")
    assert sorted(machine.rules().splitlines()) == sorted(kept.splitlines())
    assert not reach(client, server)()
    assert machine.node.reached(server.address) == "server"
    machine.start()
    eventually("new connections pass again", reach(client, server))


def test_switched_off_it_takes_its_rules_and_does_not_write_them_again(world: World) -> None:
    machine = world.machines["node1"]
    machine.node.connect_pods(world.lines)
    assert machine.rules() == ""
    # A machine that comes changes the rules, where they are wanted.
    world.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node3"}})
    world.status("node", "node3", "", {"addresses": [{"type": "InternalIP", "address": "192.0.2.13"}]})
    eventually("the program knows that it is not wanted", lambda: not machine.healthy())
    assert machine.rules() == ""
    machine.stop()
    assert machine.rules() == ""
    assert machine.node.run("ls", "/var/lib/argus/network-policies", check=False).returncode
    world.api.kubectl("delete", "node", "node3")


def test_its_undo_leaves_nothing(world: World) -> None:
    machine = world.machines["node1"]
    machine.node.disconnect_pods()
    assert machine.rules() == ""
    assert machine.node.run("ls", "/var/lib/argus/network-policies", check=False).returncode
    assert reach(world.pods["stranger"], world.pods["server"])()


def test_a_machine_that_comes_is_one_of_the_machines(world: World) -> None:
    other = world.segment.host("node4", segment="192.0.2.14")
    world.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node4"}})
    world.status("node", "node4", "", {"addresses": [{"type": "InternalIP", "address": "192.0.2.14"}]})
    try:
        for machine in world.machines.values():
            eventually("its rule", lambda machine=machine: "-s 192.0.2.14/32" in machine.rules())
            assert "-s 10.244.1.3" not in machine.rules()
    finally:
        world.api.kubectl("delete", "node", "node4")
    for machine in world.machines.values():
        eventually("no rule", lambda machine=machine: f"-s {other.address}" not in machine.rules())
