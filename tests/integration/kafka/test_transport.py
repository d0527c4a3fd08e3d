"""ZooKeeper, brokers and clients go from plain to TLS, and to other certificates, while frames are written and read."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.cimpl import NewTopic

from apps.kafka_rules.__main__ import apply, rule_of
from apps.messages.names import CONSUMER_GROUP, FRAMES_TOPIC
from components.pipeline.kafka_grants import grants
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.brokers import Brokers
from tests.integration.kafka.ensemble import Authorities, Ensemble
from tests.integration.topics import create

LIMIT_SECONDS = 120
PARTITIONS = 4


class Writer:
    """Writes records as producers do, one after the other, and remembers which Kafka has acknowledged."""

    def __init__(self) -> None:
        self.written: set[str] = set()
        self.failed: list[str] = []

    @contextmanager
    def run(self, connection: dict[str, str]) -> Iterator[None]:
        """Write during the block, then flush."""
        producer = Producer({**connection, "enable.idempotence": True, "acks": "all", "message.timeout.ms": 300_000})
        stopping, run = threading.Event(), uuid.uuid4().hex

        def write() -> None:
            for number in itertools.count():
                if stopping.is_set():
                    return
                producer.produce(FRAMES_TOPIC, f"{run}-{number}", on_delivery=self._answered)
                producer.poll(0.02)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            assert producer.flush(LIMIT_SECONDS) == 0

    def _answered(self, error: KafkaError | None, record: Message) -> None:
        if error is None:
            self.written.add((record.value() or b"").decode())
        else:
            self.failed.append(str(error))


class Reader:
    """Reads as the consumer does: in its group, from the offsets that it has committed."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    @contextmanager
    def run(self, connection: dict[str, str]) -> Iterator[None]:
        """Read during the block, then commit."""
        consumer = Consumer(
            {**connection, "group.id": CONSUMER_GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        )
        stopping = threading.Event()

        def read() -> None:
            consumer.subscribe([FRAMES_TOPIC])
            while not stopping.is_set():
                records = [each for each in consumer.consume(500, timeout=0.5) if each.error() is None]
                self.found |= {(each.value() or b"").decode() for each in records}
                if records:
                    consumer.commit(asynchronous=False)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            consumer.close()

    def reaches(self, writer: Writer) -> None:
        """Wait until Kafka has acknowledged another record, and until everything that it had by then has been read."""
        before = len(writer.written)
        services.wait_for("another record", lambda: len(writer.written) > before, seconds=LIMIT_SECONDS)
        self.has(set(writer.written))

    def has(self, written: set[str]) -> None:
        """Wait until these have been read."""
        services.wait_for("what was written", lambda: written <= self.found, seconds=LIMIT_SECONDS)


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Brokers]:
    tmp_path.chmod(0o755)
    with (
        Ensemble(tmp_path, Authorities(tmp_path / "zookeeper")) as ensemble,
        Brokers(ensemble, tmp_path, Authority(tmp_path / "authority"), count=2) as started,
    ):
        create(started.admin(), [NewTopic(FRAMES_TOPIC, PARTITIONS, 2)])
        yield started


@pytest.mark.full
def test_a_running_stack_goes_from_plain_to_tls_and_back_and_no_frame_is_lost(brokers: Brokers) -> None:
    writer, reader = Writer(), Reader()
    rules = [rule_of(asdict(grant)) for grant in grants({"objects": ["objects"]})]

    def clients(writes_as: str | None, reads_as: str | None, renewal: int = 0):  # type: ignore[no-untyped-def]
        return (
            writer.run(brokers.connection(writes_as, renewal=renewal)),
            reader.run(brokers.connection(reads_as, renewal=renewal)),
        )

    writing, reading = clients(None, None)
    with writing, reading:
        reader.reaches(writer)
        brokers.change("both")
        apply(brokers.admin(), rules)
        reader.reaches(writer)
        brokers.change("prefer")
        apply(brokers.admin(), rules)
        reader.reaches(writer)
    # Clients follow one after the other: one in plain and one with a certificate.
    writing, reading = clients("producer", None)
    with writing, reading:
        reader.reaches(writer)
    writing, reading = clients("producer", "consumer")
    with writing, reading:
        reader.reaches(writer)
        brokers.change("tls")
        reader.reaches(writer)
        # Brokers with other certificates, while clients have those of before.
        brokers.change("tls", renewal=1)
        reader.reaches(writer)
    writing, reading = clients("producer", "consumer", renewal=1)
    with writing, reading:
        reader.reaches(writer)
        # And back.
        brokers.change("prefer", renewal=1)
        reader.reaches(writer)
        brokers.change("both", renewal=1)
        reader.reaches(writer)
    writing, reading = clients(None, None)
    with writing, reading:
        reader.reaches(writer)
        brokers.change("plain")
        reader.reaches(writer)
    # What was acknowledged after the last reader had ended.
    with reader.run(brokers.connection(None)):
        reader.has(writer.written)
    assert not writer.failed
