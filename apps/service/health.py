"""Answers to Kubernetes' probes."""

from http import HTTPStatus

Health = tuple[HTTPStatus, str]
"""A probe's answer: 200 or 503, and the reason."""

STALLED_SECONDS = 120
"""A loop that has not polled Kafka for this long is stuck. Kafka revokes its partitions after 300 s."""


def healthy(is_healthy: bool, reason: str) -> Health:
    """200 with the reason if the process is healthy, else 503."""
    return HTTPStatus.OK if is_healthy else HTTPStatus.SERVICE_UNAVAILABLE, reason


def poll_health(age: float) -> Health:
    """The health of a loop that last polled Kafka `age` seconds ago."""
    return healthy(age < STALLED_SECONDS, f"the last poll was {age:.1f} s ago\n")
