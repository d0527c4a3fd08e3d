import pytest
from pydantic import ValidationError

from apps.consumer.errors import describe_settings_error
from apps.consumer.settings import Settings


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGUS_KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
    monkeypatch.setenv("ARGUS_RESULTS_TOPICS", "results.objects, results.motion,")
    settings = Settings()
    assert settings.results_topics == ("results.objects", "results.motion")
    assert settings.kafka_bootstrap_servers == "a:1,b:2"


def test_every_mistake_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARGUS_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("ARGUS_HTTP_PORT", "http")
    monkeypatch.setenv("ARGUS_RETENTION_HOURS", "0")
    with pytest.raises(ValidationError) as failed:
        Settings()
    told = describe_settings_error(failed.value)
    for variable in ("ARGUS_KAFKA_BOOTSTRAP_SERVERS", "ARGUS_HTTP_PORT", "ARGUS_RETENTION_HOURS"):
        assert variable in told
