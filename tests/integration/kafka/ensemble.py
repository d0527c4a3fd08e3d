"""An ensemble of ZooKeeper as the stack configures it, with certificates as the stack makes them, on loopback."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from components.config import sections
from components.kubernetes import pod_dns
from components.pipeline import zookeeper
from components.pipeline.kafka_grants import BROKER
from components.pipeline.zookeeper_identities import DIR, MEMBER, QUORUM_DIR
from tests.integration import services
from tests.integration.kafka import doors
from tests.integration.kafka.authority import Authority

NAMESPACE: Final = "argus"
MEMBERS: Final = 3
HOSTS: Final = tuple(pod_dns(f"zookeeper-{n}", "zookeeper", NAMESPACE) for n in range(MEMBERS))
EVERY: Final = f"*.zookeeper.{NAMESPACE}.svc.cluster.local"
STOP_SECONDS = 30


class Authorities:
    """The two authorities of an ensemble."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.clients = Authority(folder / "clients")
        self.quorum = Authority(folder / "quorum")

    def member(self, renewal: int) -> dict[str, Path]:
        """The folders that a member has, by their paths in its pod."""
        return {
            DIR: self.clients.identity(MEMBER, hosts=(EVERY, "localhost"), renewal=renewal),
            QUORUM_DIR: self.quorum.identity(MEMBER, hosts=(), renewal=renewal),
        }

    def broker(self, renewal: int) -> dict[str, Path]:
        """The same of a broker."""
        return {DIR: self.clients.identity(BROKER, hosts=(), renewal=renewal)}


@dataclass
class Ensemble:
    """Members that are restarted one after the other, as a StatefulSet restarts them: the last one first."""

    folder: Path
    authorities: Authorities
    transport: sections.Transport = "plain"
    ports: list[dict[int, int]] = field(default_factory=list)
    """The port of each member in the place of each of a pod's."""
    names: dict[int, str] = field(default_factory=dict)
    """The members' containers."""
    _running: dict[int, ExitStack] = field(default_factory=dict)
    _transports: dict[int, sections.Transport] = field(default_factory=dict)

    def __enter__(self) -> Self:
        kinds = (zookeeper.CLIENT, zookeeper.SECURE_CLIENT, zookeeper.QUORUM, zookeeper.ELECTION)
        self.ports = [{kind: services.free_port() for kind in kinds} for _ in range(MEMBERS)]
        for number in range(MEMBERS):
            self._start(number, self.transport, 0)
        self._wait_for_all()
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            running.close()

    @property
    def connect(self) -> str:
        """The members as brokers are told of them."""
        port = zookeeper.port_of_brokers(self.transport)
        return ",".join(f"{host}:{ports[port]}" for host, ports in zip(HOSTS, self.ports, strict=True))

    def change(self, transport: sections.Transport, *, renewal: int = 0) -> None:
        """Restart one after the other with these settings and certificates; each waits until all are of one quorum."""
        for number in reversed(range(MEMBERS)):
            self._running.pop(number).close()
            self._start(number, transport, renewal)
            self._wait_for_all()
        self.transport = transport

    def _start(self, number: int, transport: sections.Transport, renewal: int) -> None:
        self._transports[number] = transport
        running = ExitStack()
        self.names[number] = running.enter_context(
            services.container(
                "zookeeper",
                files={
                    "/conf/zoo.cfg": self._config(number, transport),
                    "/conf/logback.xml": zookeeper.logback_xml(transport),
                    "/conf/client.properties": zookeeper.tool_properties(),
                },
                command=["/bin/bash", "-c", f"HOSTNAME=zookeeper-{number}; {zookeeper.START}"],
                environment={"JVMFLAGS": "-Xmx128m -Dlogback.configurationFile=/conf/logback.xml"},
                ready=lambda: all(services.listens(self.ports[number][p]) for p in zookeeper.client_ports(transport)),
                disk=self.folder / f"zookeeper-{number}",
                folders=self.authorities.member(renewal),
                instance=str(number),
                grace_seconds=STOP_SECONDS,
                hosts=dict.fromkeys(HOSTS, "127.0.0.1"),
            )
        )
        self._running[number] = running

    def _config(self, number: int, transport: sections.Transport) -> str:
        """The stack's configuration, at this member's ports and on loopback alone."""
        lines = []
        for line in zookeeper.zoo_cfg(NAMESPACE, MEMBERS, transport).splitlines():
            key, _, value = line.partition("=")
            if key in ("clientPort", "secureClientPort"):
                lines += [f"{key}={self.ports[number][int(value)]}", f"{key}Address=127.0.0.1"]
            elif key.startswith("server."):
                host, *ports = value.split(":")
                member = self.ports[HOSTS.index(host)]
                lines.append(f"{key}={':'.join([host, *(str(member[int(port)]) for port in ports)])}")
            elif key == "quorumListenOnAllIPs":
                lines.append(f"{key}=false")
            else:
                lines.append(line)
        return "\n".join(lines)

    def _wait_for_all(self) -> None:
        services.wait_for("all members in one quorum", self._whole, seconds=120, every=0.5)

    def _whole(self) -> bool:
        return sorted(map(str, self.roles())) == ["follower", "follower", "leader"]

    def roles(self) -> list[str | None]:
        """What each member is. Raises OSError where one does not listen."""
        return [self._role(number) for number in range(MEMBERS)]

    def _role(self, number: int) -> str | None:
        if zookeeper.CLIENT in zookeeper.client_ports(self._transports[number]):
            return doors.role(self.ports[number][zookeeper.CLIENT], None)
        broker = doors.with_certificate(self.authorities.broker(0)[DIR])
        return doors.role(self.ports[number][zookeeper.SECURE_CLIENT], broker)
