"""How the watch reaches the lab's brokers."""

import base64
from typing import Any

from confluent_kafka.admin import AdminClient

from components.pipeline.certificates import BLOCK
from components.pipeline.kafka_grants import SUPER_USERS
from components.pipeline.kafka_identities import AUTHORITY, DIR, PAIR
from tests.bench.frames.network import connection
from tests.certificates import run

PLAIN = {"ARGUS_KAFKA_BOOTSTRAP_SERVERS": "kafka-0.kafka:9092"}


class Cluster:
    """An API server with one Secret."""

    def __init__(self, secret: dict[str, str]) -> None:
        self.asked: list[str] = []
        self._secret = {file: base64.b64encode(text.encode()).decode() for file, text in secret.items()}

    def get(self, path: str) -> Any:
        self.asked.append(path.removeprefix("/api/v1/namespaces/argus/secrets/kafka-"))
        return {"data": self._secret}


def test_in_plain_it_shows_nothing() -> None:
    cluster: Any = Cluster({})
    assert connection(cluster, PLAIN) == {"bootstrap.servers": "kafka-0.kafka:9092"}
    assert cluster.asked == []


def test_where_the_page_shows_a_certificate_it_shows_that_of_somebody_who_may_read_everything() -> None:
    key, certificate, root = BLOCK.findall(run("identity", "topics", given=run("authority")))
    cluster: Any = Cluster({PAIR: key + certificate, AUTHORITY: root})
    found = connection(cluster, {**PLAIN, "ARGUS_KAFKA_TLS_DIR": DIR})
    assert (found["security.protocol"], found["ssl.ca.pem"]) == ("SSL", root)
    assert set(cluster.asked) < set(SUPER_USERS)
    # The client refuses a key that is not its certificate's.
    AdminClient(found)
