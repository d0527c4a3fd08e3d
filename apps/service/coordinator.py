"""How to ask Kafka about a consumer group while another broker takes the group over."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

Answer = TypeVar("Answer")

_PAUSE_SECONDS = 1.0
_TAKEN_OVER = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError._WAIT_COORD,
}
"""The errors while another broker takes a group over, because its own restarts, or has restarted."""


def once_taken_over(ask: Callable[[], Answer], seconds: float) -> Answer:
    """What Kafka answers, if need be after this long. `ask` raises KafkaException, and so does this for other errors,
    or if no broker has the group by then."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except KafkaException as refused:
            if refused.args[0].code() not in _TAKEN_OVER or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)
