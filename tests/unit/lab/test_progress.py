import pytest

from lab.config import LabError
from lab.progress import step, wait_for


def test_waiting_ends_when_nothing_is_missing() -> None:
    answers = iter(["not yet", "not yet", None])
    wait_for("a thing", lambda: next(answers), timeout=5, interval=0)
    assert list(answers) == []


def test_waiting_is_bounded_and_says_what_was_last_seen() -> None:
    with pytest.raises(LabError, match="a thing: not ready after 0 s; last seen: connection refused"):
        wait_for("a thing", lambda: "connection refused", timeout=0, interval=0)


def test_a_failed_step_is_said_to_have_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LabError), step("baking"):
        raise LabError("no flour")
    lines = capsys.readouterr().err.splitlines()
    assert "baking ..." in lines[0]
    assert "baking: failed after" in lines[1]
