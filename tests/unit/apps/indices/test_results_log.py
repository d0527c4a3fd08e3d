"""What the comparison has done is committed, also while another broker takes its group over."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from apps.indices import results_log as module
from apps.indices.results_log import ANSWER_SECONDS, ResultsLog

AT = datetime(2026, 11, 30, 20, tzinfo=UTC)
PLACE = ("results.objects", 0)


class Broker:
    """A consumer's connection that is refused these commits, one after the other, and takes the next."""

    def __init__(self, *refusals: int) -> None:
        self.refusals = list(refusals)
        self.committed: list[TopicPartition] = []

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        if self.refusals:
            raise KafkaException(KafkaError(self.refusals.pop(0)))
        self.committed += offsets
        return offsets


@pytest.fixture
def log_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Broker], ResultsLog]:
    """A log whose connection is this, and whose clock runs only while it waits."""
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))

    def log(broker: Broker) -> ResultsLog:
        monkeypatch.setattr(module, "Consumer", lambda *_, **__: broker)
        return ResultsLog({}, [PLACE[0]], "frames")

    return log


def test_a_broker_that_takes_the_group_over_is_waited_for(log_of: Callable[[Broker], ResultsLog]) -> None:
    broker = Broker(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError._WAIT_COORD)
    log_of(broker).commit({PLACE: 7}, AT)
    assert [(each.topic, each.partition, each.offset) for each in broker.committed] == [(*PLACE, 7)]


def test_another_refusal_is_an_error_at_once(log_of: Callable[[Broker], ResultsLog]) -> None:
    broker = Broker(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        log_of(broker).commit({PLACE: 7}, AT)
    assert not broker.committed


def test_the_wait_has_an_end(log_of: Callable[[Broker], ResultsLog]) -> None:
    broker = Broker(*[KafkaError.COORDINATOR_LOAD_IN_PROGRESS] * int(10 * ANSWER_SECONDS))
    with pytest.raises(KafkaException):
        log_of(broker).commit({PLACE: 7}, AT)
    assert not broker.committed


def test_nothing_is_committed_of_nothing(log_of: Callable[[Broker], ResultsLog]) -> None:
    broker = Broker()
    log_of(broker).commit({}, AT)
    assert not broker.committed
