"""A run: faults are proved and always undone, and what was not proved or not recovered from does not pass."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.marathon import record, run, whole
from tests.marathon.fault import Aim, Fault, Scene, UnprovenError
from tests.marathon.journal import Journal
from tests.marathon.record import Row
from tests.marathon.run import Run, undo

MISSING: list[str] = []
"""What the stack lacks."""


class FakeAudit:
    error: Exception | None = None
    asked = 0

    @classmethod
    def open(cls, _: Any) -> "FakeAudit":
        return cls()

    def witness(self) -> None:
        FakeAudit.asked += 1

    def close(self) -> str:
        if FakeAudit.error:
            raise FakeAudit.error
        return "8 frames of 2 cameras in 5 sinks: none missing"


class FakeRepairs:
    @classmethod
    def since_now(cls, _: Any) -> "FakeRepairs":
        return cls()

    def look(self) -> None:
        pass

    def shown(self) -> str:
        return "2 comparisons sent 0 results again"


class FakeWhole:
    def __init__(self, _: Any) -> None:
        pass

    def missing(self) -> str | None:
        return MISSING[0] if MISSING else None


class FakeFault(Fault):
    name, hold_s = "fake", (0, 0)

    def __init__(self, **errors: BaseException) -> None:
        self.errors, self.done = errors, list[str]()

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.errors:
            raise self.errors[what]

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        self._do("aim")
        return {"machine": "cp2"}

    def begin(self, scene: Scene, aim: Aim) -> None:
        self._do("begin")

    def proof(self, scene: Scene, aim: Aim) -> str:
        self._do("proof")
        return "seen"

    def end(self, scene: Scene, aim: Aim) -> None:
        self._do("end")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lab, and a clock that goes on only while a run sleeps."""
    now = [0.0]

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now[0]

        @staticmethod
        def time() -> float:
            return now[0]

        @staticmethod
        def sleep(seconds: float) -> None:
            now[0] += seconds

    monkeypatch.setattr(run, "Audit", FakeAudit)
    monkeypatch.setattr(run, "Whole", FakeWhole)
    monkeypatch.setattr(run, "Repairs", FakeRepairs)
    monkeypatch.setattr(run, "time", Clock)
    monkeypatch.setattr(whole, "LIMIT_S", 0)
    monkeypatch.setattr(FakeAudit, "error", None)
    monkeypatch.setattr(FakeAudit, "asked", 0)
    MISSING.clear()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "lab" / "marathon.json")


def ran(fault: Fault, journal: Journal, seconds: int = 30) -> Row:
    row = Row(at="2026-11-29 15:00", commit="abc", seed=1, seconds=seconds, kinds=[fault.name])
    Run(Scene(None, lambda _: None), {fault.name: fault}, row, journal).go()  # type: ignore[arg-type]
    return row


def test_a_run_in_which_all_is_proven_and_every_frame_is_there_passes(journal: Journal) -> None:
    fault = FakeFault()
    row = ran(fault, journal)
    assert (row.outcome, row.error) == (record.PASSED, "")
    assert row.frames.startswith("8 frames") and row.repaired.startswith("2 comparisons")
    assert row.faults and all(each.proof == "seen" and each.whole_s is not None for each in row.faults)
    assert fault.done == ["aim", "begin", "proof", "end"] * len(row.faults)
    assert journal.read() is None


@pytest.mark.parametrize("where", ["aim", "begin", "proof"])
def test_a_fault_that_is_not_proven_makes_the_run_invalid_and_is_undone(journal: Journal, where: str) -> None:
    fault = FakeFault(**{where: UnprovenError("its restarts are as before")})
    row = ran(fault, journal)
    assert row.outcome == record.INVALID
    assert "fake: its restarts are as before" in row.error
    assert fault.done.count("end") == fault.done.count("begin")


@pytest.mark.parametrize("where", ["aim", "begin", "proof"])
def test_an_error_of_a_fault_that_nobody_foresaw_proves_nothing_and_the_run_goes_on(
    journal: Journal, where: str
) -> None:
    fault = FakeFault(**{where: KeyError("containerStatuses")})
    row = ran(fault, journal, seconds=100)
    assert row.outcome == record.INVALID and "containerStatuses" in row.error
    assert row.frames and len(row.faults) > 1
    assert fault.done.count("end") == fault.done.count("begin")


def test_an_error_of_the_marathon_itself_says_nothing_of_the_stack(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAudit, "error", KeyError("hits"))
    row = ran(FakeFault(), journal)
    assert row.outcome == record.INVALID and row.error == "the marathon failed: KeyError: 'hits'"


def test_producers_are_asked_just_before_each_fault(journal: Journal) -> None:
    class Asks(FakeFault):
        def begin(self, scene: Scene, aim: Aim) -> None:
            super().begin(scene, aim)
            assert FakeAudit.asked == self.done.count("begin")

    assert ran(Asks(), journal).outcome == record.PASSED


def test_a_run_goes_on_for_a_while_until_it_has_had_half_of_the_kinds(journal: Journal) -> None:
    class Long(FakeFault):
        def begin(self, scene: Scene, aim: Aim) -> None:
            super().begin(scene, aim)
            run.time.sleep(100)  # type: ignore[attr-defined]

    def had(count: int, seconds: int) -> int:
        kinds = {str(number): Long() for number in range(count)}
        row = Row(at="2026-11-29 15:00", commit="abc", seed=1, seconds=seconds, kinds=list(kinds))
        Run(Scene(None, lambda _: None), kinds, row, journal).go()  # type: ignore[arg-type]
        return len(row.faults)

    assert had(8, 340) == 4
    assert had(2, 340) == 3, "no longer than told"
    assert had(40, 340) < 6, "nor for ever"


def test_a_run_without_time_for_a_fault_is_invalid(journal: Journal) -> None:
    assert ran(FakeFault(), journal, seconds=1).outcome == record.INVALID


def test_a_stack_that_does_not_become_whole_fails_the_run_and_says_what_it_lacks(journal: Journal) -> None:
    class Breaks(FakeFault):
        def end(self, scene: Scene, aim: Aim) -> None:
            super().end(scene, aim)
            MISSING[:] = ["ready nodes: ['cp1']"]

    row = ran(Breaks(), journal)
    assert row.outcome == record.FAILED
    assert "after fake" in row.error and "ready nodes: ['cp1']" in row.error
    assert [each.whole_s for each in row.faults] == [None]


def test_a_fault_whose_own_target_does_not_recover_fails_the_run(journal: Journal) -> None:
    class Stays(FakeFault):
        def missing(self, scene: Scene, aim: Aim) -> str | None:
            return "DNS does not answer"

    row = ran(Stays(), journal)
    assert row.outcome == record.FAILED and "DNS does not answer" in row.error


def test_a_missing_frame_fails_the_run(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeAudit, "error", AssertionError("disk (frame) lacks 3"))
    row = ran(FakeFault(), journal)
    assert row.outcome == record.FAILED and row.error == "disk (frame) lacks 3"


def test_a_missing_frame_counts_more_than_a_missing_proof(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeAudit, "error", AssertionError("disk (frame) lacks 3"))
    assert ran(FakeFault(proof=UnprovenError("nothing")), journal).outcome == record.FAILED


@pytest.mark.parametrize("where", ["begin", "proof"])
def test_ctrl_c_undoes_the_fault(journal: Journal, where: str) -> None:
    fault = FakeFault(**{where: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        ran(fault, journal)
    assert fault.done[-1] == "end"
    assert journal.read() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_marathon_while_a_fault_is_undone_waits_for_it(journal: Journal, number: int) -> None:
    class Slow(FakeFault):
        def end(self, scene: Scene, aim: Aim) -> None:
            os.kill(os.getpid(), number)
            super().end(scene, aim)

    fault = Slow()
    # pytest may have been started without Ctrl-C.
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            ran(fault, journal)
    finally:
        signal.signal(number, before)
    assert fault.done[-1] == "end"
    assert journal.read() is None


def test_what_a_killed_marathon_left_can_be_undone_by_the_next(journal: Journal) -> None:
    class Power(BaseException):
        """Nothing runs after it."""

    fault = FakeFault(begin=Power(), end=Power())
    with pytest.raises(Power):
        ran(fault, journal)
    left = journal.read()
    assert left == ("fake", {"machine": "cp2"})
    after = FakeFault()
    undo(Scene(None, lambda _: None), after, left[1])  # type: ignore[arg-type]
    assert after.done == ["end"]


def test_what_cannot_be_undone_fails_the_run_and_stays_for_the_next(journal: Journal) -> None:
    fault = FakeFault(end=OSError("the machine is away"))
    row = ran(fault, journal)
    assert row.outcome == record.FAILED and "could not be undone" in row.error
    assert fault.done.count("end") > 30, "for three minutes"
    assert journal.read() == ("fake", {"machine": "cp2"})


def test_undoing_is_tried_again(journal: Journal) -> None:
    class Twice(FakeFault):
        def end(self, scene: Scene, aim: Aim) -> None:
            super().end(scene, aim)
            if self.done.count("end") < 3:
                raise httpx.ConnectError("the API moves")

    fault = Twice()
    undo(Scene(None, lambda _: None), fault, {"machine": "cp2"})  # type: ignore[arg-type]
    assert fault.done == ["end"] * 3


def test_a_fault_that_stands_too_long_makes_the_run_invalid(journal: Journal) -> None:
    class Long(FakeFault):
        def proof(self, scene: Scene, aim: Aim) -> str:
            run.time.sleep(1000)  # type: ignore[attr-defined]
            return super().proof(scene, aim)

    row = ran(Long(), journal)
    assert row.outcome == record.INVALID and "it stood for 1000 s" in row.error
