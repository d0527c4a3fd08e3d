"""The command with which an operator makes a hash."""

import io

import pytest

from apps.access.hashes import verify
from components.config import password


def test_it_prints_the_hash_of_what_it_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert password.main([]) == 0
    printed = capsys.readouterr()
    assert verify("correct horse battery", printed.out.strip()) and printed.err == ""


def test_a_short_password_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert password.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "5 characters; take 12 or more" in printed.err


def test_on_a_terminal_it_asks_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    answers = iter(["correct horse battery", "correct horse batter"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    assert password.main([]) == 1
    assert "not the same" in capsys.readouterr().err


def test_a_token_is_printed_apart_from_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert password.main(["--token"]) == 0
    printed = capsys.readouterr()
    assert verify(printed.err.strip().rpartition(" ")[2], printed.out.strip())
