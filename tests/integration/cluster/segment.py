"""Machines, pods and strangers as network namespaces on one layer-2 network; the cluster's own scripts make the routes
and rules. Needs root."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from components.cluster.args import ClusterArgs
from components.cluster.host_firewall import firewall_of
from components.cluster.machine import script
from components.cluster.network import cni_config

POD_NETWORK, SERVICE_NETWORK = "10.244.0.0/16", "10.96.0.0/16"
ENDPOINT, PAGE_PORT = "192.0.2.10", 30080
TCP_PORT, UDP_PORT = 8080, 9000
LIMIT_S = 20
TOOLS = ("bash", "ip", "iptables", "iptables-restore", "mount", "nsenter", "sysctl", "unshare")

_AGENT = """
import json, socket, sys, threading
from concurrent.futures import ThreadPoolExecutor
name, tcp_port, udp_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
received, held = [], {}
server = socket.create_server(("0.0.0.0", tcp_port))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("0.0.0.0", udp_port))
def serve():
    while True:
        client, _ = server.accept()
        with client:
            client.sendall(name.encode())
def receive():
    while True:
        received.append(datagrams.recv(100).decode())
for each in (serve, receive):
    threading.Thread(target=each, daemon=True).start()
def connect(host, port):
    try:
        with socket.create_connection((host, port), 1.5) as server:
            return server.recv(100).decode()
    except OSError:
        return None
def connect_all(host, ports):
    with ThreadPoolExecutor(len(ports)) as pool:
        return list(pool.map(lambda port: connect(host, port), ports))
def send(source, host, text):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_IP, 19, 1) # IP_TRANSPARENT: from an address of others
        sender.bind((source, 0))
        sender.sendto(text.encode(), (host, udp_port))
def taken():
    return received
def listen(port):
    # At all addresses of both versions, as the cluster's programs do. What comes is sent back after the name.
    def answer(client):
        client.sendall(name.encode())
        while text := client.recv(100):
            client.sendall(text)
    def serve(server):
        while True:
            threading.Thread(target=answer, args=[server.accept()[0]], daemon=True).start()
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=serve, args=[server], daemon=True).start()
def hold(host, port):
    held[host, port] = socket.create_connection((host, port), 1.5)
    held[host, port].recv(100)
def echoed(host, port):
    held[host, port].sendall(b"still here")
    return held[host, port].recv(100).decode()
def leave(host, port):
    held.pop((host, port)).close()
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    what, *arguments = json.loads(line)
    print(json.dumps(globals()[what](*arguments)), flush=True)
"""
"""A program in a namespace: it answers connections with its name, keeps the datagrams that it gets, and listens,
connects and sends as it is told."""

_SYSTEMCTL = """#!/bin/bash
# There is no systemd in a namespace: this runs the commands of the unit that the cluster's scripts start and stop.
unit=/etc/systemd/system/${!#} active=/run/${!#}-is-active
commands() { sed -n "s/^$1=-\\?//p" "$unit"; }
case $1 in
  is-active) [[ -e $active ]] ;;
  start | restart) bash -e <(commands ExecStart) && touch "$active" ;;
  reload) bash -e <(commands ExecReload) ;;
  disable) [[ ! -e $active ]] || { bash <(commands ExecStop) && rm "$active"; } ;;
esac
"""


@dataclass
class Host:
    """A network namespace with a program in it that can be told what to do."""

    name: str
    process: "subprocess.Popen[str]"
    addresses: dict[str, str] = field(default_factory=dict)
    """By network: `segment`, `uplink`, `pods`."""

    @property
    def address(self) -> str:
        return next(iter(self.addresses.values()))

    def run(self, *command: str, stdin: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command of this computer in the namespaces."""
        done = subprocess.run(
            [*("nsenter", f"--target={self.process.pid}", "--net", "--mount"), *command],
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=180,
        )
        assert not check or done.returncode == 0, f"{self.name}: {' '.join(command)[:200]}: {done.stdout}{done.stderr}"
        return done

    def reached(self, host: str, port: int = TCP_PORT) -> str | None:
        """The name of who answers there; None if nobody does."""
        answer: str | None = self._tell("connect", host, port)
        return answer

    def opened(self, server: "Host", ports: Sequence[int]) -> set[int]:
        """Those ports at which the other host answers, at its first address."""
        answers: list[str | None] = self._tell("connect_all", server.address, ports)
        return {port for port, name in zip(ports, answers, strict=True) if name == server.name}

    def listen(self, *ports: int) -> None:
        """Answer connections at these ports too, and send back what comes."""
        for port in ports:
            self._tell("listen", port)

    def hold(self, host: str, port: int) -> None:
        """Open a connection to a port of `listen`, and keep it."""
        self._tell("hold", host, port)

    def echoed(self, host: str, port: int) -> str:
        """What comes back over the connection that is kept."""
        answer: str = self._tell("echoed", host, port)
        return answer

    def leave(self, host: str, port: int) -> None:
        """Close the connection that is kept."""
        self._tell("leave", host, port)

    def send(self, host: str, text: str, *, source: str) -> None:
        """Send a datagram under any address."""
        self._tell("send", source, host, text)

    def received(self) -> list[str]:
        """The datagrams so far."""
        answer: list[str] = self._tell("taken")
        return answer

    def awaits(self, text: str) -> None:
        """Wait until a datagram has come."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.received():
            assert time.monotonic() < deadline, f"{self.name} got {self.received()[-5:]} and not {text}"
            time.sleep(0.01)

    def _tell(self, *order: str | int | Sequence[int]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Node(Host):
    """A machine of the cluster."""

    pods_network: str

    @property
    def line(self) -> str:
        """Its line of what node_networks.sh prints."""
        return f"{self.name} {self.address} {self.pods_network}"

    def connect_pods(
        self, lines: str, *, policies: str = "declared", check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run network.sh with these lines of node_networks.sh."""
        made = script(
            "network.sh",
            name=self.name,
            pod_network=POD_NETWORK,
            service_network=SERVICE_NETWORK,
            endpoint=ENDPOINT,
            page_port=str(PAGE_PORT),
            policies=policies,
            cni=cni_config(),
        )
        return self.run("sh", "-c", made.render(), stdin=lines, check=check)

    def disconnect_pods(self) -> None:
        """Run network_delete.sh."""
        self.run("sh", "-c", script("network_delete.sh").render())

    def refuse_strangers(
        self, args: ClusterArgs, lines: str, *, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run host_firewall.sh with these lines of host_firewall_nodes.sh."""
        (machine,) = (each for each in args.all_machines if each.name == self.name)
        return self.run("sh", "-c", firewall_of(args, machine).render(), stdin=lines, check=check)

    def rules(self) -> list[str]:
        """The guard's rules."""
        listed = self.run("iptables", "--table", "raw", "--list-rules", "ARGUS-PREROUTING").stdout.splitlines()
        return [line for line in listed if line.startswith("-A ")]

    def without(self, rule: str) -> None:
        """Take one of the guard's rules out."""
        assert rule in self.rules(), f"{rule} is none of {self.rules()}"
        self.run("iptables", "--table", "raw", "--delete", *rule.split()[1:])


_Host = TypeVar("_Host", bound=Host)


class Segment:
    """Hosts on switches."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._hosts, self._cables = folder, list[Host](), 0
        self._switch = self._start(Host, "switch")

    def host(self, name: str, **addresses: str) -> Host:
        """A host with an address (of a /24) in each of these networks."""
        return self._plugged(self._start(Host, name), addresses)

    def node(self, name: str, pods: str, **addresses: str) -> Node:
        """A machine that passes packets on, with folders of its own for what the cluster's scripts write."""
        node = self._start(Node, name)
        node.pods_network = pods
        self._plugged(node, addresses)
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        own = self._folder / name
        (own / "bin").mkdir(parents=True)
        (own / "bin" / "systemctl").write_text(_SYSTEMCTL)
        (own / "bin" / "systemctl").chmod(0o755)
        node.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        node.run("mount", "--bind", f"{own}/bin", "/usr/local/sbin")
        for path in ("/etc", "/usr/local/lib", "/var/lib"):
            kept = f"/run/own{path.replace('/', '-')}"
            node.run("mkdir", "-p", f"{kept}/new", f"{kept}/work")
            layers = f"lowerdir={path},upperdir={kept}/new,workdir={kept}/work"
            node.run("mount", "-t", "overlay", "overlay", "-o", layers, path)
        return node

    def pod(self, name: str, node: Node, number: int) -> Host:
        """A pod on a machine, linked as CNI's ptp plugin does."""
        pod = self._start(Host, name)
        network = node.pods_network.rpartition(".")[0]
        gateway, address = f"{network}.1", f"{network}.{number}"
        pod.addresses["pods"] = address
        outside = f"veth{number:08x}"
        self._cable(pod, "eth0", node, outside)
        node.run("ip", "address", "add", f"{gateway}/32", "dev", outside)
        node.run("ip", "route", "add", address, "dev", outside, "scope", "host")
        pod.run("ip", "address", "add", f"{address}/32", "dev", "eth0")
        pod.run("ip", "route", "add", gateway, "dev", "eth0", "scope", "link", "src", address)
        pod.run("ip", "route", "add", "default", "via", gateway, "src", address)
        return pod

    def end(self) -> None:
        """End the programs, and with them their namespaces."""
        for each in self._hosts:
            each.process.send_signal(signal.SIGKILL)
            each.process.communicate()

    def _plugged(self, host: _Host, addresses: Mapping[str, str]) -> _Host:
        for number, (network, address) in enumerate(addresses.items()):
            if self._switch.run("ip", "link", "show", network, check=False).returncode:
                self._switch.run("ip", "link", "add", network, "type", "bridge")
                self._switch.run("ip", "link", "set", network, "up")
            self._cables += 1
            port = f"port{self._cables}"
            self._cable(host, f"eth{number}", self._switch, port)
            self._switch.run("ip", "link", "set", port, "master", network)
            host.run("ip", "address", "add", f"{address}/24", "dev", f"eth{number}")
            host.addresses[network] = address
        return host

    def _cable(self, host: Host, link: str, other: Host, end: str) -> None:
        peer = ("peer", "name", end, "netns", str(other.process.pid))
        host.run("ip", "link", "add", link, "type", "veth", *peer)
        host.run("ip", "link", "set", link, "up")
        other.run("ip", "link", "set", end, "up")

    def _start(self, kind: type[_Host], name: str) -> _Host:
        process = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--propagation", "private"),
                *(sys.executable, "-c", _AGENT, name, str(TCP_PORT), str(UDP_PORT)),
            ],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        host = kind(name, process)
        self._hosts.append(host)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == "ready"
        host.run("ip", "link", "set", "lo", "up")
        # The kernel's own check of the reverse path, which a distribution may turn on, would hide the rules'.
        host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        return host


@contextmanager
def segment(folder: Path) -> Iterator[Segment]:
    """A network without hosts. Fails with what this computer lacks."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    assert not lacking, f"the test needs {', '.join(lacking)}"
    assert os.geteuid() == 0, "the test needs root, for network namespaces"
    made = Segment(folder)
    try:
        yield made
    finally:
        made.end()
