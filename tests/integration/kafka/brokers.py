"""Brokers as the stack configures them, with certificates as the stack makes them, on loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from confluent_kafka.admin import AdminClient

from apps.service.settings import KafkaSettings
from components.config import sections
from components.pipeline import kafka
from components.pipeline.kafka_grants import ADMIN, BROKER
from components.pipeline.kafka_identities import DIR
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.ensemble import HOSTS, Ensemble

HOST = "localhost"
STOP_SECONDS = 60
CLIENT = {"broker.address.family": "v4", "socket.timeout.ms": "10000", "reconnect.backoff.max.ms": "1000"}
"""What all clients here have beside their connection."""


@dataclass
class Brokers:
    """Brokers that are restarted one after the other, as a StatefulSet restarts them."""

    zookeeper: str | Ensemble
    """One in plain, or an ensemble, which goes through the steps before the brokers."""
    folder: Path
    authority: Authority
    count: int = 1
    transport: sections.Transport = "plain"
    outside: sections.Outside | None = None
    """Whom brokers let in by a listener of its own."""
    _ports: list[Mapping[str, int]] = field(default_factory=list)
    _running: dict[int, ExitStack] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._ports = [
            {name: services.free_port() for name in ("PLAINTEXT", "SSL", kafka.OUTSIDE)} for _ in range(self.count)
        ]
        for number in range(self.count):
            self._start(number, self.transport, 0)
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            running.close()

    def change(self, transport: sections.Transport, *, renewal: int = 0) -> None:
        """Restart one after the other with these settings and this certificate; each waits until all are in sync."""
        self.transport = transport
        if isinstance(self.zookeeper, Ensemble):
            self.zookeeper.change(transport, renewal=renewal)
        for number in range(self.count):
            self._running.pop(number).close()
            self._start(number, transport, renewal)
            services.wait_for("all brokers in sync", self._in_sync, seconds=120, every=0.5)

    def connection(self, identity: str | None, *, renewal: int = 0, listener: str | None = None) -> dict[str, str]:
        """librdkafka's settings of a client that shows this name; None: in plain."""
        listener = listener or ("PLAINTEXT" if identity is None else "SSL")
        servers = ",".join(f"{HOST}:{ports[listener]}" for ports in self._ports)
        folder = None if identity is None else self.authority.identity(identity, renewal=renewal)
        settings = KafkaSettings(kafka_bootstrap_servers=servers, kafka_tls_dir=folder)
        return {**settings.kafka_connection, **CLIENT}

    def admin(self) -> AdminClient:
        """A client that may do everything."""
        in_plain = self.transport in ("plain", "both")
        return AdminClient(self.connection(None if in_plain else ADMIN))

    def _start(self, number: int, transport: sections.Transport, renewal: int) -> None:
        ports = self._ports[number]
        section = sections.Kafka(replicas=self.count, transport=transport, outside=self.outside)
        names = kafka.listeners(section)
        listeners = ",".join(f"{name}://{HOST}:{ports[name]}" for name in names)
        overrides = {
            "broker.id": str(number),
            "listeners": listeners,
            "advertised.listeners": listeners,
            "log.dirs": "/data/kafka",
            "group.initial.rebalance.delay.ms": "0",
        }
        command = ["/opt/kafka/bin/kafka-server-start.sh", "/conf/server.properties"]
        for key, value in overrides.items():
            command += ["--override", f"{key}={value}"]
        running = ExitStack()
        folders = {DIR: self.authority.identity(BROKER, renewal=renewal)}
        if isinstance(self.zookeeper, Ensemble):
            folders |= self.zookeeper.authorities.broker(renewal)
            config = kafka.server_properties(self.zookeeper.connect, section, transport)
        else:
            config = kafka.server_properties(self.zookeeper, section, "plain")
        self.names[number] = running.enter_context(
            services.container(
                "kafka",
                files={"/conf/server.properties": config},
                command=command,
                environment={"KAFKA_HEAP_OPTS": "-Xmx320m", "LOG_DIR": "/tmp"},
                ready=lambda: all(services.listens(ports[name]) for name in names),
                disk=self.folder / f"disk-{number}",
                folders=folders,
                instance=str(number),
                grace_seconds=STOP_SECONDS,
                hosts=dict.fromkeys(HOSTS, "127.0.0.1"),
            )
        )
        self._running[number] = running

    def _in_sync(self) -> bool:
        found = self.admin().list_topics(timeout=10)
        partitions = [each for topic in found.topics.values() for each in topic.partitions.values()]
        return len(found.brokers) == self.count and all(
            _same(each.isrs, each.replicas) and each.leader >= 0 for each in partitions
        )


def _same(one: Sequence[int], other: Sequence[int]) -> bool:
    return sorted(one) == sorted(other)
