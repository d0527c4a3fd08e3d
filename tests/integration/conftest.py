"""Fixtures of all integration tests: services that start at their first use, once per session.

ARGUS_TEST_KAFKA (bootstrap servers) and ARGUS_TEST_ELASTICSEARCH (a URL) name running services to use instead.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from tests.integration import services
from tests.integration.topics import Topics, create_topics


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    given = os.environ.get("ARGUS_TEST_KAFKA")
    if given:
        yield given
        return
    with services.zookeeper() as zookeeper, services.kafka(zookeeper) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[str]:
    given = os.environ.get("ARGUS_TEST_ELASTICSEARCH")
    if given:
        yield given.rstrip("/")
        return
    with services.elasticsearch() as url:
        yield url


@pytest.fixture
def topics(kafka: str) -> Topics:
    """New topics for one test: frames, and results of the models objects and motion."""
    return create_topics(kafka, suffix=uuid.uuid4().hex[:8], models=("objects", "motion"), partitions=4)


@pytest.fixture
def topics_of_senders_times(kafka: str) -> Topics:
    """Like `topics`, but of a version before Kafka's own time was recorded: each record has the time of its sender."""
    suffix = uuid.uuid4().hex[:8]
    return create_topics(kafka, suffix=suffix, models=("objects", "motion"), partitions=4, senders_times=True)
