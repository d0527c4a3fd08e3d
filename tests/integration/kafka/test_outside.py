"""A client outside the cluster does, by the brokers' listener for such, what the stack allows it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from apps.kafka_rules.__main__ import apply, rule_of
from apps.messages.names import FRAMES_TOPIC, REJECTED_TOPIC
from components.config.sections import Outside
from components.pipeline.kafka import OUTSIDE
from components.pipeline.kafka_grants import ADMIN, grants, outside_grants
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.brokers import Brokers
from tests.integration.kafka.test_access import LIMIT_SECONDS, commit, describe, read, refused, write
from tests.integration.topics import create

pytestmark = pytest.mark.full

REPORT = {"read": [FRAMES_TOPIC], "groups": ["report"]}
SECTION = Outside.model_validate({"nodePort": 30092, "clients": {"report": REPORT}})


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """One broker with that listener, two topics, a record in each, and the rules of the stack's clients."""
    folder = tmp_path_factory.mktemp("kafka")
    folder.chmod(0o755)
    with (
        services.zookeeper("outside") as zookeeper,
        Brokers(zookeeper, folder, Authority(folder / "authority"), transport="tls", outside=SECTION) as started,
    ):
        create(started.admin(), [NewTopic(name, 1, 1) for name in (FRAMES_TOPIC, REJECTED_TOPIC)])
        writer = Producer(started.connection(ADMIN))
        for topic in (FRAMES_TOPIC, REJECTED_TOPIC):
            writer.produce(topic, b"a record")
        assert writer.flush(LIMIT_SECONDS) == 0
        table = [*grants({"objects": ["objects"]}), *outside_grants(SECTION)]
        apply(started.admin(), [rule_of(asdict(grant)) for grant in table])
        yield started


def test_it_does_what_it_may_and_nothing_else(brokers: Brokers) -> None:
    connection = brokers.connection("report", listener=OUTSIDE)
    read(connection, FRAMES_TOPIC)
    commit(connection, "report", FRAMES_TOPIC)
    assert refused(lambda: write(connection, FRAMES_TOPIC))
    assert refused(lambda: commit(connection, "consumer", FRAMES_TOPIC))
    for action in (describe, write):
        assert refused(lambda action=action: action(connection, REJECTED_TOPIC))


def test_who_connects_there_is_told_to_come_back_there(brokers: Brokers) -> None:
    """Inside the cluster's names and ports nobody outside finds a broker."""
    for listener in (OUTSIDE, "SSL"):
        connection = brokers.connection("report", listener=listener)
        found = AdminClient(connection).list_topics(timeout=LIMIT_SECONDS).brokers.values()
        assert ",".join(f"{each.host}:{each.port}" for each in found) == connection["bootstrap.servers"]


def test_without_a_certificate_of_the_stack_nobody_gets_in(brokers: Brokers, tmp_path: Path) -> None:
    known = brokers.connection("report", listener=OUTSIDE)
    nobody = {key: value for key, value in known.items() if key not in ("ssl.certificate.location", "ssl.key.location")}
    stranger = Authority(tmp_path / "stranger").identity("report")
    forged = {**known, "ssl.certificate.location": f"{stranger}/tls.pem", "ssl.key.location": f"{stranger}/tls.pem"}
    for connection in (nobody, forged, {**known, "security.protocol": "PLAINTEXT"}):
        with pytest.raises(KafkaException):
            AdminClient(connection).list_topics(timeout=8)
