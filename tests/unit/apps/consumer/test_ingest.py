"""How the loop handles Kafka's errors."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from apps.consumer import ingest
from apps.consumer.ingest import Ingest
from apps.consumer.settings import Settings
from apps.consumer.storage import DiskStore
from tests.environments import GIVEN


class FailingConsumer:
    """A Kafka client that reports one error and stops the loop at the next poll."""

    def __init__(self, error: KafkaError) -> None:
        self._error: KafkaError | None = error
        self.stop: Any = None
        self.closed = False

    def subscribe(self, *_: object, **__: object) -> None:
        """Join no group."""

    def poll(self, _: float) -> Any:
        error, self._error = self._error, None
        if error is None:
            self.stop()
            return None
        return type("Message", (), {"error": lambda self: error})()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    changes = {"results_topics": "results.objects", "consumer_member": "consumer-0", "data_dir": tmp_path}
    return Settings(**{**GIVEN["apps.consumer"], **changes})


def consumed(settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int) -> FailingConsumer:
    client = FailingConsumer(KafkaError(code))
    monkeypatch.setattr(ingest, "Consumer", lambda *_, **__: client)
    loop = Ingest(settings, DiskStore(settings.data_dir), lambda: False)
    client.stop = loop.stop
    try:
        loop.run()
    finally:
        assert client.closed
    return client


def test_an_error_that_the_client_never_recovers_from_ends_the_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KafkaException):
        consumed(settings, monkeypatch, KafkaError._FATAL)


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._PARTITION_EOF])
def test_the_loop_goes_on_after_any_other(settings: Settings, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    consumed(settings, monkeypatch, code)
