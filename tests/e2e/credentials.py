"""What is tried on the lab with the credentials of each client of Kafka and Elasticsearch, and how it has to end."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from components.pipeline.elasticsearch_grants import CLIENTS, GRANTS, SEARCH
from components.pipeline.elasticsearch_identities import secret_of
from components.pipeline.kafka_grants import OFFSETS_TOPIC, grants
from tests.e2e.borrowed import DONE, REFUSED, Attempt

_DAY: Final = "1999.01.01"
"""A day without an index, so that a request that should be refused, and is not, destroys nothing."""


def attempts(secrets: Collection[str], applications: Mapping[str, Sequence[str]]) -> dict[Attempt, str]:
    """How each attempt has to end: with these Secrets everything that their clients may not do, and, so that a refusal
    says something, one thing that each may."""
    every = {**dict(_of_kafka(applications)), **dict(_of_elasticsearch())}
    return {attempt: end for attempt, end in every.items() if attempt[0] in secrets}


def _of_kafka(applications: Mapping[str, Sequence[str]]) -> Iterator[tuple[Attempt, str]]:
    table = [grant for grant in grants(applications) if grant.resource == "topic"]
    topics = {grant.name for grant in table}
    for client in {grant.client for grant in table}:
        own = {(grant.operation, grant.name) for grant in table if grant.client == client}
        secret = f"kafka-{client}"
        yield (secret, f"describe {sorted(name for _, name in own)[-1]}"), DONE
        for topic in topics - {OFFSETS_TOPIC}:
            for operation in {"read", "write"} - {operation for operation, name in own if name == topic}:
                yield (secret, f"{operation} {topic}"), REFUSED


def _of_elasticsearch() -> Iterator[tuple[Attempt, str]]:
    for client in CLIENTS:
        own = {(grant.method, grant.path) for grant in GRANTS if grant.client == client}
        for method, path in {(grant.method, grant.path) for grant in GRANTS} - own:
            yield (secret_of(client), f"{method} {_named(path)}"), REFUSED
        # The one that makes templates may only write.
        harmless = sorted(request for request in own if request[0] == "GET" or request[1].endswith(SEARCH))
        yield from (((secret_of(client), f"{method} {_named(path)}"), DONE) for method, path in harmless[:1])


def _named(path: str) -> str:
    return path.replace("NAME", "objects").replace("DAY", _DAY)
