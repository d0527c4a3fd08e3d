"""What each client of Kafka may take of a broker, and the script that gives it that."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.config.sections import TRANSPORTS
from components.pipeline.kafka_grants import SUPER_USERS
from components.pipeline.kafka_quotas import quotas_file
from components.pipeline.topics import QUOTAS_SCRIPT
from tests.unit.components.pipeline.conftest import Build, settings
from tests.unit.components.pipeline.test_pipeline import templates

Apply = Callable[[str, str], list[str]]


@pytest.fixture
def apply(tmp_path: Path) -> Apply:
    """Runs quotas.sh with a tool that shows the given quotas, and writes down what it is asked to change."""
    tool = tmp_path / "kafka-configs.sh"
    tool.write_text(
        '#!/bin/bash\n[[ $* != *--describe* ]] || exec cat "${0%/*}/described"\nshift 4; echo "$*" >>"${0%/*}/asked"\n'
    )
    tool.chmod(0o755)
    script = tmp_path / "quotas.sh"
    script.write_text(QUOTAS_SCRIPT.read_text().replace("/opt/kafka/bin", str(tmp_path)))

    def run(described: str, wanted: str) -> list[str]:
        (tmp_path / "described").write_text(described)
        (tmp_path / "wanted").write_text(wanted)
        asked = tmp_path / "asked"
        asked.write_text("")
        environment = {**os.environ, "BOOTSTRAP_SERVERS": "kafka:9093"}
        subprocess.run(["bash", script, tmp_path / "wanted"], env=environment, check=True, timeout=60)
        return sorted(asked.read_text().splitlines())

    return run


def of(client: str, **changes: Any) -> str | None:
    """The client's line in the table."""
    lines = dict(line.split() for line in quotas_file(settings(**changes)).splitlines())
    return lines.get(client)


def test_quotas_are_given_and_then_left_alone(apply: Apply) -> None:
    wanted = "producer request_percentage=150,producer_byte_rate=10000000\nui request_percentage=2.5\n"
    assert apply("", wanted) == [
        "--alter --entity-name producer --add-config producer_byte_rate=10000000,request_percentage=150",
        "--alter --entity-name ui --add-config request_percentage=2.5",
    ]
    # As Kafka shows them.
    there = (
        "Quota configs for user-principal 'ui' are request_percentage=2.5\n"
        "Quota configs for user-principal 'producer' are producer_byte_rate=1.0E7, request_percentage=150.0\n"
    )
    assert apply(there, wanted) == []


def test_a_limit_that_is_no_longer_wanted_goes_alone(apply: Apply) -> None:
    there = "Quota configs for user-principal 'ui' are consumer_byte_rate=1.0E7, request_percentage=150.0\n"
    assert apply(there, "ui request_percentage=50\n") == [
        "--alter --entity-name ui --add-config request_percentage=50 --delete-config consumer_byte_rate"
    ]


def test_what_somebody_else_gave_a_user_goes_as_rules_of_others_do(apply: Apply) -> None:
    there = (
        "Quota configs for the default user-principal are request_percentage=10.0\n"
        "Quota configs for user-principal 'CN=some body' are consumer_byte_rate=1024.0, producer_byte_rate=1024.0\n"
        "SCRAM credential configs for user-principal 'other' are SCRAM-SHA-256=iterations=4096\n"
    )
    assert apply(there, "") == [
        "--alter --entity-default --delete-config request_percentage",
        "--alter --entity-name CN=some body --delete-config consumer_byte_rate,producer_byte_rate",
    ]


def test_by_default_each_client_has_a_share_of_the_threads_and_brokers_have_no_limit() -> None:
    for client in ("producer", "model-objects", "consumer", "filebeat", "comparison", "ui", "keda-operator"):
        assert of(client) == "request_percentage=150"
    assert all(of(name) is None for name in SUPER_USERS)


def test_a_client_may_have_another_quota() -> None:
    quotas = {"readBytesPerSecond": 200_000_000, "clients": {"ui": {"requestPercentage": 37.5}}}
    assert of("ui", kafka={"quotas": quotas}) == "request_percentage=37.5,consumer_byte_rate=200000000"
    assert of("filebeat", kafka={"quotas": quotas}) == "request_percentage=150,consumer_byte_rate=200000000"


def test_the_whole_broker_is_no_limit() -> None:
    assert quotas_file(settings(kafka={"quotas": {"requestPercentage": 600}})) == ""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_job_gives_quotas_where_brokers_know_their_clients(build: Build, transport: str) -> None:
    objects = build(kafka={"transport": transport})
    (job,) = [name for name in templates(objects) if name.startswith("Job/topics-")]
    (container,) = templates(objects)[job]["spec"]["containers"]
    data = objects[job.replace("Job/", "ConfigMap/")].inputs["data"]
    known = transport != "plain"
    assert ("quotas.sh /etc/argus/quotas" in container["command"][-1]) is known
    assert {"quotas", "quotas.sh"} & data.keys() == ({"quotas", "quotas.sh"} if known else set())
