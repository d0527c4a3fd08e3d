import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from apps.spark_jobs.settings import Settings

GIVEN = {
    "ARGUS_MODEL_NAME": "objects",
    "ARGUS_MODEL_KIND": "objects",
    "ARGUS_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "ARGUS_RESULTS_TOPIC": "results.objects",
    "ARGUS_CONSUMER_GROUP": "spark.objects",
    "ARGUS_WEIGHTS": "/opt/argus/weights/objects",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_the_environment_and_the_defaults() -> None:
    settings = Settings()
    assert (settings.frames_topic, settings.rejected_topic, settings.trigger_seconds) == ("frames", "rejected", 2.0)
    assert settings.weights == Path("/opt/argus/weights/objects")


def test_what_the_executors_get_can_travel() -> None:
    spec = Settings().spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(spec) == hash(pickle.loads(pickle.dumps(spec)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARGUS_MODEL_KIND", "segments"),
        ("ARGUS_MODEL_NAME", "Not A Name"),
        ("ARGUS_TRIGGER_SECONDS", "0"),
        ("ARGUS_MAXIMUM_EXECUTORS", "0"),
        ("ARGUS_SCORE_THRESHOLD", "1.5"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()
