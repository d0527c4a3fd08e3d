import pytest

from apps.consumer.settings import Settings
from apps.service.settings import SettingsError, read
from tests.environments import variables


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables("apps.consumer").items():
        monkeypatch.setenv(name, value)


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
    with pytest.raises(SettingsError) as failed:
        read(Settings)
    for variable in ("ARGUS_KAFKA_BOOTSTRAP_SERVERS", "ARGUS_HTTP_PORT", "ARGUS_RETENTION_HOURS"):
        assert variable in str(failed.value)
