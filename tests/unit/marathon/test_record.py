"""The runs of several sittings add up in one file, and the page is made from it."""

from pathlib import Path

import pytest

from lab.config import LabError
from tests.marathon import __main__ as program
from tests.marathon import record
from tests.marathon.__main__ import main, seeds_of, summary
from tests.marathon.journal import Journal
from tests.marathon.kinds import KINDS
from tests.marathon.record import FAILED, PASSED, Caused, Row


def row(seed: int = 1, outcome: str = PASSED, **values: object) -> Row:
    base = {"at": "2026-11-29 15:40", "commit": "abc1234", "seconds": 1000, "kinds": ["pod-deleted", "dns-away"]}
    return Row(**{**base, "seed": seed, "outcome": outcome, **values})  # type: ignore[arg-type]


DELETED = Caused(kind="pod-deleted", at_s=9.0, held_s=1.0, whole_s=31.5, proof="ui-1 | uid 5 is gone")
UNPROVEN = Caused(kind="dns-away", at_s=60.0, held_s=50.0, whole_s=None, unproven="10.96.0.10 answers")


def test_runs_of_several_sittings_add_up(tmp_path: Path) -> None:
    file, page = tmp_path / "runs.jsonl", tmp_path / "page.md"
    runs = [row(1, faults=[DELETED]), row(2, FAILED, faults=[UNPROVEN], error="lacks 3")]
    for each in runs:
        record.add(each, file, page)
    assert record.read(file) == runs
    assert page.read_text() == record.shown(runs)


def test_the_page_of_the_repository_is_made_from_its_runs() -> None:
    assert record.PAGE.read_text(encoding="utf-8") == record.shown(record.read())


def test_a_failed_run_stays_with_its_cause_and_what_mended_it() -> None:
    failed = row(3, FAILED, error="disk (frame) lacks 3", faults=[DELETED])
    assert "not known yet; disk (frame) lacks 3" in record.shown([failed])
    failed.cause, failed.mend = "a commit before the sync", "def5678"
    shown = record.shown([failed])
    assert "a commit before the sync" in shown and "def5678" in shown and "not known yet" not in shown
    assert "0 passed, 1 failed" in shown


def test_the_page_counts_each_kind_and_faults_without_proof_apart() -> None:
    lines = record.shown([row(faults=[DELETED, DELETED, UNPROVEN])]).splitlines()
    (deleted,) = (line for line in lines if line.startswith("| `pod-deleted`"))
    (dns,) = (line for line in lines if line.startswith("| `dns-away`"))
    assert [cell.strip() for cell in deleted.split("|")[2:4]] == ["2", "0"]
    assert "ui-1 / uid 5 is gone" in deleted
    assert [cell.strip() for cell in dns.split("|")[2:4]] == ["0", "1"]


def test_the_page_names_every_kind() -> None:
    shown = record.shown([])
    for name in KINDS:
        assert f"`{name}`" in shown


def test_a_seed_that_passed_is_not_run_again_unless_more_is_asked() -> None:
    rows = [row(1), row(2, FAILED), row(3, seconds=100)]
    kinds = ["dns-away", "pod-deleted"]
    assert record.passed(rows, 1000, kinds) == {1}
    assert record.passed(rows, 2000, kinds) == set()
    assert record.passed(rows, 1000, ["dns-away"]) == set()


def test_seeds_go_on_where_the_last_sitting_stopped() -> None:
    assert seeds_of(None, 3, {1, 2, 4}) == [3, 5, 6]
    assert seeds_of(1, 4, {1, 3}) == [2, 4]
    assert seeds_of(7, 1, {7}) == []


def test_a_sitting_ends_with_a_table() -> None:
    shown = summary([row(faults=[DELETED, UNPROVEN], frames="8 frames")])
    assert "pod-deleted" in shown and "never" in shown and "seed 1: passed: 8 frames" in shown


def test_a_kind_that_is_not_there_is_refused_before_anything_is_touched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--faults", "no-such"]) == 1
    assert "no-such" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--seed", "0"], ["--runs", "x"], ["--seconds", "-1"]])
def test_numbers_are_checked(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)


def test_what_a_marathon_left_is_undone_before_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, object]] = []
    monkeypatch.setattr(program, "undo", lambda _, kind, aim: done.append((kind.name, aim)))
    journal = Journal(tmp_path / "lab" / "marathon.json")
    program._undo_what_is_left(None, journal)  # type: ignore[arg-type]
    assert done == []
    journal.write("dns-away", {"replicas": 2})
    program._undo_what_is_left(None, journal)  # type: ignore[arg-type]
    assert done == [("dns-away", {"replicas": 2})] and journal.read() is None


def test_a_fault_of_a_later_version_is_not_forgotten(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "lab" / "marathon.json")
    journal.write("moon-away", {})
    with pytest.raises(LabError, match="moon-away"):
        program._undo_what_is_left(None, journal)  # type: ignore[arg-type]
    assert journal.read() is not None


def test_what_comparisons_mended_is_shown_with_the_run() -> None:
    shown = record.shown([row(frames="8 frames: none missing", repaired="1 comparisons sent 3 results again")])
    assert "8 frames; 1 comparisons sent 3 results again" in shown
