"""What probes are answered."""

from http import HTTPStatus

Health = tuple[HTTPStatus, str]
"""A probe's answer: 200 or 503, and why."""

STALLED_SECONDS = 120
"""A loop that has not polled Kafka for this long is stuck; Kafka takes its partitions away after 300."""


def healthy(well: bool, reason: str) -> Health:
    """The answer for a process that is well, or is not."""
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, reason


def polled(age: float) -> Health:
    """The health of a loop that asked Kafka for records `age` seconds ago."""
    return healthy(age < STALLED_SECONDS, f"the last poll was {age:.1f} s ago\n")
