"""A client that takes more of a broker than its quota is answered later, and as before once the quota is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic

from apps.kafka_rules.__main__ import apply, rule_of
from apps.messages.names import FRAMES_TOPIC
from components.pipeline.kafka import tls_properties
from components.pipeline.kafka_grants import Grant
from components.pipeline.kafka_identities import DIR
from components.pipeline.topics import QUOTAS_SCRIPT
from tests.integration import services
from tests.integration.kafka.authority import Authority
from tests.integration.kafka.brokers import Brokers
from tests.integration.topics import create

pytestmark = pytest.mark.full

RATE, RECORD = 20_000, b"x" * 20_000
QUOTA = f"producer producer_byte_rate={RATE}\nui request_percentage=50\n"
GIVEN = f"""\
Quota configs for user-principal 'producer' are producer_byte_rate={float(RATE)}
Quota configs for user-principal 'ui' are request_percentage=50.0
"""


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """One broker that admits nobody in plain, with the topic of frames, to which producers may write."""
    folder = tmp_path_factory.mktemp("kafka")
    folder.chmod(0o755)
    with (
        services.zookeeper("quotas") as zookeeper,
        Brokers(zookeeper, folder, Authority(folder / "authority"), transport="tls") as started,
    ):
        create(started.admin(), [NewTopic(FRAMES_TOPIC, 1, 1)])
        apply(started.admin(), [rule_of(asdict(Grant("producer", "topic", FRAMES_TOPIC, "write")))])
        yield started


def in_broker(brokers: Brokers, command: str) -> str:
    """What a command of bash's prints in the broker's container, whose certificate may do everything."""
    properties = "\n".join(tls_properties(DIR))
    servers = brokers.connection("kafka")["bootstrap.servers"]
    script = f"""set -euo pipefail
export LOG_DIR=/tmp BOOTSTRAP_SERVERS={servers} COMMAND_CONFIG=/tmp/client.properties
export KAFKA_HEAP_OPTS=-Xmx128m
cat >/tmp/client.properties <<'END'
{properties}
END
{command}"""
    return services.output(brokers.names[0], "bash", "-c", script)


def give(brokers: Brokers, table: str) -> None:
    text = QUOTAS_SCRIPT.read_text()
    in_broker(brokers, f"cat >/tmp/quotas <<'END'\n{table}END\nbash -s /tmp/quotas <<'SCRIPT'\n{text}SCRIPT")


def given(brokers: Brokers) -> str:
    """The quotas of users, as Kafka shows them."""
    tool = "/opt/kafka/bin/kafka-configs.sh --command-config $COMMAND_CONFIG --bootstrap-server $BOOTSTRAP_SERVERS"
    shown = in_broker(brokers, f"{tool} --describe --entity-type users").splitlines()
    return "".join(f"{line}\n" for line in sorted(shown) if line)


def longest_throttle(brokers: Brokers, records: int) -> int:
    """Write records, and return the longest time (ms) for which the broker asked the client to wait."""
    waits: list[int] = []

    def note(statistics: str) -> None:
        waits.extend(each["throttle"]["max"] for each in json.loads(statistics)["brokers"].values())

    producer = Producer(
        {**brokers.connection("producer"), "linger.ms": 0, "statistics.interval.ms": 200, "stats_cb": note}
    )
    for _ in range(records):
        producer.produce(FRAMES_TOPIC, RECORD)
        producer.flush(60)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not max(waits, default=0):
        producer.poll(0.2)
    return max(waits)


def test_quotas_follow_the_table_and_a_client_above_its_own_is_answered_later(brokers: Brokers) -> None:
    assert longest_throttle(brokers, 20) == 0
    give(brokers, QUOTA)
    assert given(brokers) == GIVEN
    assert longest_throttle(brokers, 20) > 0
    give(brokers, QUOTA)
    assert given(brokers) == GIVEN
    give(brokers, "")
    assert given(brokers) == ""
    # A window of Kafka's measurement later.
    services.wait_for("no throttling", lambda: longest_throttle(brokers, 5) == 0, seconds=60)


def test_a_change_of_the_table_leaves_quotas_of_client_ids_alone(brokers: Brokers, tmp_path: Path) -> None:
    of_both = "--entity-type users --entity-name ui --entity-type clients --entity-name mine"
    tool = "/opt/kafka/bin/kafka-configs.sh --command-config $COMMAND_CONFIG --bootstrap-server $BOOTSTRAP_SERVERS"
    in_broker(brokers, f"{tool} --alter --add-config request_percentage=5 {of_both}")
    give(brokers, QUOTA)
    give(brokers, "")
    assert "request_percentage=5.0" in in_broker(brokers, f"{tool} --describe {of_both}")
