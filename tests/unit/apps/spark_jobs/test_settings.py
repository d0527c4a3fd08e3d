import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from apps.spark_jobs.settings import Settings
from tests.environments import variables


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables("apps.spark_jobs").items():
        monkeypatch.setenv(name, value)


def test_the_environment_and_the_defaults() -> None:
    settings = Settings()
    assert (settings.frames_topic, settings.rejected_topic, settings.trigger_seconds) == ("frames", "rejected", 2.0)
    assert settings.weights == Path("/opt/argus/weights/objects")


def test_what_the_executors_get_can_travel() -> None:
    spec = Settings().spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(spec) == hash(pickle.loads(pickle.dumps(spec)))


def test_labels_have_their_own_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGUS_SCORE_THRESHOLDS", '{"person": 0.5, "car": 1}')
    assert Settings().spec.score_thresholds == (("person", 0.5), ("car", 1.0))


def test_the_gate_is_off_unless_its_seconds_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().spec.gate_seconds, Settings().spec.ungated_cameras) == (None, ())
    monkeypatch.setenv("ARGUS_GATE_SECONDS", "2.5")
    monkeypatch.setenv("ARGUS_UNGATED_CAMERAS", '["door", "yard"]')
    assert (Settings().spec.gate_seconds, Settings().spec.ungated_cameras) == (2.5, ("door", "yard"))


def test_spark_is_told_where_the_driver_is() -> None:
    assert Settings().submit_arguments == (
        "--properties-file /etc/argus/spark.properties --conf spark.driver.host=127.0.0.1 "
        "--conf spark.kubernetes.driver.pod.name=model-objects pyspark-shell"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARGUS_MODEL_KIND", "segments"),
        ("ARGUS_MODEL_NAME", "Not A Name"),
        ("ARGUS_TRIGGER_SECONDS", "0"),
        ("ARGUS_MAXIMUM_EXECUTORS", "0"),
        ("ARGUS_SCORE_THRESHOLD", "1.5"),
        ("ARGUS_GATE_SECONDS", "0"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()
