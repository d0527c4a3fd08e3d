"""Each client may do in Kafka what the table says, and nothing else; who has no certificate may do nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from apps.kafka_rules.__main__ import apply, rule_of
from apps.messages.names import REJECTED_TOPIC
from components.pipeline.kafka_grants import ADMIN, BROKER, Grant, clients_of, grants
from tests.e2e import borrowed, knock
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.brokers import Brokers
from tests.integration.topics import create

pytestmark = pytest.mark.full  # some ten minutes

APPLICATIONS = {"objects": ["objects", "other"], "motion": ["motion"]}
TABLE = grants(APPLICATIONS)
CLIENTS = clients_of(TABLE)
TOPICS = sorted({grant.name for grant in TABLE if grant.resource == "topic"})
GROUPS = sorted({grant.name for grant in TABLE if grant.resource == "group"})
REFUSED = ("TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED")
LIMIT_SECONDS = 30


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """One broker that admits nobody in plain, with the pipeline's topics, a record in each, and the table's rules."""
    folder = tmp_path_factory.mktemp("kafka")
    folder.chmod(0o755)
    with (
        services.zookeeper("tls") as zookeeper,
        Brokers(zookeeper, folder, Authority(folder / "authority"), transport="tls") as started,
    ):
        create(started.admin(), [NewTopic(name, 1, 1) for name in TOPICS])
        writer = Producer(started.connection(ADMIN))
        for topic in TOPICS:
            writer.produce(topic, b"a record")
        assert writer.flush(LIMIT_SECONDS) == 0
        apply(started.admin(), [rule_of(asdict(grant)) for grant in TABLE])
        yield started


def may(client: str, resource: str, name: str, operation: str) -> bool:
    """What the table says."""
    own = [grant for grant in TABLE if (grant.client, grant.resource, grant.name) == (client, resource, name)]
    return any(operation in (grant.operation, "describe") for grant in own)


def refused(action: Callable[[], object]) -> bool:
    """Whether Kafka refuses it for lack of a right; any other failure is the test's."""
    try:
        action()
    except KafkaException as error:
        if error.args[0].name() not in REFUSED:
            raise
        return True
    return False


def describe(connection: dict[str, str], topic: str) -> None:
    found = AdminClient(connection).list_topics(topic, timeout=LIMIT_SECONDS).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)


def read(connection: dict[str, str], topic: str) -> None:
    """Read one record; who may not see the topic is told so first."""
    describe(connection, topic)
    borrowed.read(connection, topic, [0])


def write(connection: dict[str, str], topic: str) -> None:
    """Write a record, and another one as producers do, whose client ends where it has no right to write anywhere."""
    for idempotent in (False, True):
        told: list[KafkaError | None] = []
        producer = Producer(
            {**connection, "enable.idempotence": idempotent, "acks": "all", "message.timeout.ms": 30_000}
        )
        producer.produce(topic, b"a record", on_delivery=lambda error, _, told=told: told.append(error))
        producer.flush(LIMIT_SECONDS)
        if not told:
            raise TimeoutError(f"neither written to {topic} nor refused within {LIMIT_SECONDS} s")
        if told[0] is not None:
            raise KafkaException(told[0])


def describe_group(connection: dict[str, str], group: str) -> None:
    admin = AdminClient(connection)  # Must outlive its futures.
    (answer,) = admin.describe_consumer_groups([group], request_timeout=LIMIT_SECONDS).values()
    answer.result(LIMIT_SECONDS)


def commit(connection: dict[str, str], group: str, topic: str) -> None:
    admin = AdminClient(connection)  # Must outlive its futures.
    offsets = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 1)])
    (answer,) = admin.alter_consumer_group_offsets([offsets], request_timeout=LIMIT_SECONDS).values()
    for each in answer.result(LIMIT_SECONDS).topic_partitions:
        if each.error is not None:
            raise KafkaException(each.error)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_with_topics_what_the_table_says_and_nothing_else(brokers: Brokers, client: str) -> None:
    connection = brokers.connection(client)
    done = {
        (topic, operation): not refused(lambda action=action, topic=topic: action(connection, topic))
        for topic in TOPICS
        for operation, action in {"describe": describe, "read": read, "write": write}.items()
    }
    assert done == {(topic, operation): may(client, "topic", topic, operation) for topic, operation in done}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_with_groups_what_the_table_says_and_nothing_else(brokers: Brokers, client: str) -> None:
    connection = brokers.connection(client)
    own = [topic for topic in TOPICS if may(client, "topic", topic, "read")]
    for group in GROUPS:
        seen = not refused(lambda group=group: describe_group(connection, group))
        assert seen == may(client, "group", group, "describe"), group
        # Who may not read a topic commits nothing of it, whatever the group.
        committed = not refused(lambda group=group: commit(connection, group, own[0] if own else REJECTED_TOPIC))
        assert committed == (bool(own) and may(client, "group", group, "read")), group


@pytest.mark.parametrize("client", CLIENTS)
def test_no_client_changes_topics_or_rules(brokers: Brokers, client: str) -> None:
    admin = AdminClient(brokers.connection(client))
    (made,) = admin.create_topics([NewTopic("another", 1, 1)], request_timeout=LIMIT_SECONDS).values()
    assert refused(made.result)
    (gone,) = admin.delete_topics(TOPICS[:1], request_timeout=LIMIT_SECONDS).values()
    assert refused(gone.result)
    assert refused(lambda: apply(admin, [rule_of(asdict(Grant(client, "topic", TOPICS[0], "write")))]))


def test_who_shows_no_certificate_of_the_stack_is_refused(brokers: Brokers, tmp_path: Path) -> None:
    known = brokers.connection(ADMIN)
    assert AdminClient(known).list_topics(timeout=LIMIT_SECONDS).topics
    nobody = {key: value for key, value in known.items() if key not in ("ssl.certificate.location", "ssl.key.location")}
    stranger = Authority(tmp_path / "stranger").identity(ADMIN)
    forged = {**known, "ssl.certificate.location": f"{stranger}/tls.pem", "ssl.key.location": f"{stranger}/tls.pem"}
    plain = {**known, "security.protocol": "PLAINTEXT"}
    for connection in (nobody, forged, plain):
        with pytest.raises(KafkaException):
            AdminClient(connection).list_topics(timeout=8)
    host, _, port = known["bootstrap.servers"].partition(",")[0].rpartition(":")
    assert knock.served(host, int(port)) == []


def test_a_name_that_the_table_does_not_have_may_do_nothing(brokers: Brokers) -> None:
    connection = brokers.connection("stranger")
    for topic in TOPICS:
        for action in (describe, write):
            assert refused(lambda action=action, topic=topic: action(connection, topic)), (topic, action)


def test_rules_follow_the_table(brokers: Brokers) -> None:
    """A right that the table has no longer is taken away, one that is new is given, and the rest stays."""
    admin, every = brokers.admin(), [rule_of(asdict(grant)) for grant in TABLE]
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    assert apply(admin, every) == (0, 0)
    another = rule_of(asdict(Grant("producer", "topic", REJECTED_TOPIC, "write")))
    assert apply(admin, [*every[1:], another]) == (1, 1)
    assert set(admin.describe_acls(everything).result()) == {*every[1:], another}
    assert apply(admin, every) == (1, 1)


def test_brokers_and_the_job_that_makes_topics_are_in_no_rule() -> None:
    assert not {BROKER, ADMIN} & set(CLIENTS)
