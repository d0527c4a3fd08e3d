import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    (spec,) = Settings().specs
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert hash(spec) == hash(pickle.loads(pickle.dumps(spec)))


FURTHER: Mapping[str, Any] = {
    "model_name": "faces",
    "model_kind": "objects",
    "results_topic": "results.faces",
    "consumer_group": "spark.faces",
    "weights": "/opt/argus/weights/faces",
    "precision": "fp32",
    "device": "CPU",
    "contract": {"names": ["face"]},
    "labels": ["face"],
    "score_thresholds": {"face": 0.5},
    "code": "/opt/argus/code/faces",
    "call_seconds": 10.0,
    "call_memory_mib": 512,
}


def test_further_models_have_their_own_settings_and_share_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGUS_FURTHER_MODELS", json.dumps([FURTHER]))
    first, second = Settings().specs
    assert (first.model, first.results_topic, first.labels) == ("objects", "results.objects", None)
    assert (second.model, second.results_topic, second.labels) == ("faces", "results.faces", ("face",))
    assert (second.precision, second.contract.names, second.score_thresholds) == ("fp32", ("face",), (("face", 0.5),))
    assert (second.rejected_topic, second.max_frame_bytes) == (first.rejected_topic, first.max_frame_bytes)
    assert hash(second) == hash(pickle.loads(pickle.dumps(second)))


@pytest.mark.parametrize("changes", [{"trigger_seconds": 1}, {"model_kind": "segments"}, {"consumer_group": ""}])
def test_a_wrong_or_unknown_setting_of_a_further_model_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, Any]
) -> None:
    monkeypatch.setenv("ARGUS_FURTHER_MODELS", json.dumps([{**FURTHER, **changes}]))
    with pytest.raises(ValidationError, match=f"further_models.0.{next(iter(changes))}"):
        Settings()


def test_labels_have_their_own_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGUS_SCORE_THRESHOLDS", '{"person": 0.5, "car": 1}')
    assert Settings().specs[0].score_thresholds == (("person", 0.5), ("car", 1.0))


def test_the_gate_is_off_unless_its_seconds_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    (spec,) = Settings().specs
    assert (spec.gate_seconds, spec.ungated_cameras) == (None, ())
    monkeypatch.setenv("ARGUS_GATE_SECONDS", "2.5")
    monkeypatch.setenv("ARGUS_UNGATED_CAMERAS", '["door", "yard"]')
    (spec,) = Settings().specs
    assert (spec.gate_seconds, spec.ungated_cameras) == (2.5, ("door", "yard"))


def test_each_model_has_its_own_gate_and_cameras_are_ungated_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGUS_GATE_SECONDS", "2.5")
    monkeypatch.setenv("ARGUS_UNGATED_CAMERAS", '["door"]')
    monkeypatch.setenv("ARGUS_FURTHER_MODELS", json.dumps([FURTHER, {**FURTHER, "gate_seconds": 1}]))
    specs = Settings().specs
    assert [spec.gate_seconds for spec in specs] == [2.5, None, 1]
    assert {spec.ungated_cameras for spec in specs} == {("door",)}


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
        ("ARGUS_OVERLOAD_SECONDS", "0"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()
