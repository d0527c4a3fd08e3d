"""The check of a model before its driver starts."""

import threading
from typing import Any

import pytest

from apps.messages import Frame
from apps.model_api.jpeg import jpeg_size
from apps.spark_jobs import check
from tests.environments import further_models, variables


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables("apps.spark_jobs", model_name="mine", model_kind="motion").items():
        monkeypatch.setenv(name, value)


class Model:
    version = "mine 1"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.seen = error, list[Frame]()

    def detect(self, frame: Frame) -> tuple[()]:
        self.seen.append(frame)
        if self.error:
            raise self.error
        return ()


def test_a_model_that_runs_is_let_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main() == 0
    assert capsys.readouterr().out.startswith("model mine runs: ")


def test_a_model_sees_pictures_as_they_come_from_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    monkeypatch.setattr(check, "load_model", lambda spec: model)
    assert check.main() == 0
    first, second = model.seen
    assert jpeg_size(first.jpeg) == (first.width, first.height) == (640, 360)
    assert second.sequence == first.sequence + 1


def refuse(spec: Any) -> Any:
    raise RuntimeError('Device with "GPU" name is not registered\n  in the OpenVINO Runtime')


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (refuse, 'RuntimeError: Device with "GPU" name is not registered in the OpenVINO Runtime'),
        (lambda spec: Model(ValueError("no such layer")), "ValueError: no such layer"),
    ],
)
def test_one_line_says_why_a_model_does_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], load: Any, reason: str
) -> None:
    monkeypatch.setattr(check, "load_model", load)
    assert check.main() == 1
    assert capsys.readouterr().err == f"model mine does not run: {reason}\n"


def test_every_model_of_an_application_is_checked_and_the_one_that_does_not_run_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = {"model_name": "theirs", "model_kind": "motion", "results_topic": "t", "consumer_group": "g"}
    monkeypatch.setenv("ARGUS_FURTHER_MODELS", further_models(theirs))
    models = {"mine": Model(), "theirs": Model()}
    monkeypatch.setattr(check, "load_model", lambda spec: models[spec.model])
    assert check.main() == 0
    assert [len(model.seen) for model in models.values()] == [2, 2]
    models["theirs"] = Model(ValueError("no such layer"))
    assert check.main() == 1
    assert capsys.readouterr().err == "model theirs does not run: ValueError: no such layer\n"


def test_a_model_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    monkeypatch.setenv("ARGUS_CHECK_SECONDS", "0.05")
    monkeypatch.setattr(check, "load_model", lambda spec: ended.wait(10) and Model())
    monkeypatch.setattr(check.os, "_exit", lambda status: ended.set())
    check.main()
    assert capsys.readouterr().err == "model mine does not run: no answer within 0 s\n"


def test_what_has_worked_before_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    proven = type("Takeover", (), {"proven": lambda self: True})()
    monkeypatch.setattr(check, "takeover_of", lambda settings: proven)
    monkeypatch.setattr(check, "load_model", refuse)
    assert check.main() == 0
