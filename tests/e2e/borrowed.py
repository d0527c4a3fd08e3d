"""Runs in a stranger's pod, in the image of an app: does what the clients of Kafka and Elasticsearch may not do, with
the credentials of each, and prints once, as JSON, how every attempt ended.

Its argument is JSON: `kafka` and `elasticsearch` are the addresses, `attempts` are pairs of a client's name and what to
do, which is `read TOPIC`, `write TOPIC`, `describe TOPIC` or a method and a path.
"""

import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

SECRETS = Path("/secrets")
"""A folder for each Secret, by its name."""
PAIR, AUTHORITY = "tls.pem", "ca.pem"
REFUSED, DONE = "refused", "done"
LIMIT_SECONDS = 30.0
AT_ONCE = 4
_OPERATIONS = ("read", "write", "describe")

Attempt = tuple[str, str]
"""The name of the Secret whose credentials are shown, and what is tried."""


def kafka(address: str, credentials: Path, operation: str, topic: str) -> str:
    """How a broker answers."""
    pair = str(credentials / PAIR)
    connection: dict[str, object] = {
        "bootstrap.servers": address,
        "security.protocol": "ssl",
        "ssl.ca.location": str(credentials / AUTHORITY),
        "ssl.certificate.location": pair,
        "ssl.key.location": pair,
        "log_level": 0,
    }
    try:
        # Who may not even see a topic is told so at once here; a producer would try for half a minute.
        partitions = partitions_of(connection, topic)
        if operation == "write":
            _write(connection, topic)
        elif operation == "read":
            read(connection, topic, partitions)
    except KafkaException as error:
        name = error.args[0].name()
        return REFUSED if name.endswith("_AUTHORIZATION_FAILED") else str(name)
    except TimeoutError as silent:
        return str(silent)
    return DONE


def elasticsearch(address: str, credentials: Path, method: str, path: str) -> str:
    """How a node, or the proxy before it, answers."""
    trust = ssl.create_default_context(cafile=credentials / AUTHORITY)
    trust.load_cert_chain(credentials / PAIR)
    body = None if method == "GET" else b"{}\n"
    request = urllib.request.Request(
        address + path, data=body, method=method, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS, context=trust) as answered:
            status = answered.status
    except urllib.error.HTTPError as answered:
        status = answered.code
    except OSError as failed:
        return str(failed)
    if status == 403:
        return REFUSED
    # The index of a day without results is not found; nothing else is as it should be.
    return DONE if status < 300 or status in (400, 404) else str(status)


def _write(connection: dict[str, object], topic: str) -> None:
    errors: list[object] = []
    producer = Producer({**connection, "message.timeout.ms": int(LIMIT_SECONDS * 1000)})
    producer.produce(topic, b"a record of nobody", on_delivery=lambda error, _: errors.append(error))
    producer.flush(LIMIT_SECONDS)
    if not errors:
        raise TimeoutError("neither written nor refused")
    if errors[0] is not None:
        raise KafkaException(errors[0])


def partitions_of(connection: Mapping[str, object], topic: str) -> list[int]:
    """A topic's partitions. Raises KafkaException for who may not see it."""
    consumer = Consumer({**connection, "group.id": "nobody"})
    try:
        found = consumer.list_topics(topic, timeout=LIMIT_SECONDS).topics[topic]
    finally:
        consumer.close()
    if found.error is not None:
        raise KafkaException(found.error)
    return list(found.partitions)


def read(connection: Mapping[str, object], topic: str, partitions: Iterable[int]) -> None:
    """Read one record without a group's offsets. Raises TimeoutError where neither it nor a refusal comes, as of a
    topic that a client may not even see: librdkafka's consumer waits for ever and says nothing."""
    consumer = Consumer({**connection, "group.id": "nobody", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            record = consumer.poll(1.0)
            if record is None:
                continue
            error = record.error()
            if error is None:
                return
            # That the group has no coordinator concerns nobody who joins none.
            if error.name() != "GROUP_AUTHORIZATION_FAILED":
                raise KafkaException(error)
        raise TimeoutError(f"neither a record of {topic} nor a refusal within {LIMIT_SECONDS:.0f} s")
    finally:
        consumer.close()


def tried(given: dict[str, str], attempt: Attempt) -> str:
    """How an attempt ended: REFUSED, DONE, or what kept it from ending."""
    secret, (verb, _, what) = attempt[0], attempt[1].partition(" ")
    if verb in _OPERATIONS:
        return kafka(given["kafka"], SECRETS / secret, verb, what)
    return elasticsearch(given["elasticsearch"], SECRETS / secret, verb, what)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = pool.map(lambda attempt: tried(task, attempt), task["attempts"])
        print(json.dumps([[*attempt, end] for attempt, end in zip(task["attempts"], ends, strict=True)]), flush=True)
    time.sleep(3600)
