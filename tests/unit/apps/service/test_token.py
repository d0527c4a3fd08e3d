"""The token by which the stack's pods know each other, while it changes."""

from pathlib import Path

import pytest

from apps.service.settings import SettingsError
from apps.service.token import ADMIT_OLD_SECONDS, HEADER, SHOW_OLD_SECONDS, Token

CHANGED = 100
SPREAD = 150.0
"""Seconds between the first and the last pod that gets a changed file."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("first\n")
    return path


def test_who_shows_it_is_admitted_and_nobody_else(file: Path) -> None:
    token = Token(file)
    assert token.headers == {HEADER: "first"}
    assert token.admits("first")
    for other in ("", "firs", "first ", "First", "second", "f\u00fcrst"):
        assert not token.admits(other)


def test_no_pod_refuses_another_while_the_token_changes(tmp_path: Path) -> None:
    """Pods get the new file at different times, and look at it as often as they ask or are asked."""
    clock = Clock()
    files = [tmp_path / name for name in ("early", "late")]
    for each in files:
        each.write_text("first")
    early, late = (Token(each, clock) for each in files)
    for second in range(0, int(CHANGED + SPREAD + ADMIT_OLD_SECONDS) + 60, 10):
        clock.now = 1000.0 + second
        if second == CHANGED:
            files[0].write_text("second")
        if second == CHANGED + SPREAD:
            files[1].write_text("second")
        assert early.admits(late.headers[HEADER]), second
        assert late.admits(early.headers[HEADER]), second
    assert early.headers == late.headers == {HEADER: "second"}
    assert not early.admits("first") and not late.admits("first"), "the old one ends"
    assert SHOW_OLD_SECONDS > SPREAD and ADMIT_OLD_SECONDS > SHOW_OLD_SECONDS + SPREAD


@pytest.mark.parametrize("content", ["", "\n", None])
def test_a_file_that_is_gone_or_empty_for_a_moment_changes_nothing(file: Path, content: str | None) -> None:
    token = Token(file)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    assert token.admits("first") and not token.admits("")
    assert token.headers == {HEADER: "first"}


def test_a_pod_without_a_token_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ARGUS_TOKEN_FILE: cannot read .*/none: No such file"):
        Token(tmp_path / "none")
    (empty := tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingsError, match=r"ARGUS_TOKEN_FILE: .*/empty is empty"):
        Token(empty)
