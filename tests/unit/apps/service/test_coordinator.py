"""Who asks about a consumer group gets an answer also while another broker takes the group over."""

from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from apps.service import coordinator
from apps.service.coordinator import once_taken_over

LIMIT_SECONDS = 30.0


class Broker:
    """Refuses with these errors, one after the other, and then answers."""

    def __init__(self, *refusals: int) -> None:
        self._refusals = list(refusals)

    def ask(self) -> str:
        if self._refusals:
            raise KafkaException(KafkaError(self._refusals.pop(0)))
        return "offsets"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that runs only while something waits."""
    stopped = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        stopped.now += seconds

    monkeypatch.setattr(coordinator, "time", SimpleNamespace(monotonic=lambda: stopped.now, sleep=sleep))
    return stopped


def test_a_broker_that_takes_the_group_over_is_waited_for() -> None:
    broker = Broker(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError._WAIT_COORD)
    assert once_taken_over(broker.ask, LIMIT_SECONDS) == "offsets"


def test_another_refusal_is_an_error_at_once(clock: SimpleNamespace) -> None:
    with pytest.raises(KafkaException):
        once_taken_over(Broker(KafkaError.GROUP_AUTHORIZATION_FAILED).ask, LIMIT_SECONDS)
    assert clock.now == 0


def test_the_wait_has_an_end(clock: SimpleNamespace) -> None:
    refusals = [KafkaError.COORDINATOR_LOAD_IN_PROGRESS] * 1000
    with pytest.raises(KafkaException):
        once_taken_over(Broker(*refusals).ask, LIMIT_SECONDS)
    assert LIMIT_SECONDS <= clock.now < 2 * LIMIT_SECONDS
