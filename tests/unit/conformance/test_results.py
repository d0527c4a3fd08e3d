"""A run succeeds if every selected test passed; anything else is reported."""

from pathlib import Path

import pytest

from lab.config import LabError
from tests.conformance import results
from tests.conformance.results import Result

REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="6"><testsuite name="Kubernetes e2e suite">
  <testcase name="[SynchronizedBeforeSuite]" classname="Kubernetes e2e suite" status="passed" time="2.5"></testcase>
  <testcase name="[It] [sig-a] works [Conformance]" status="passed" time="12.5"></testcase>
  <testcase name="[It] [sig-a] is not meant [Serial]" status="skipped" time="0"><skipped message="skipped"/></testcase>
  <testcase name="[It] [sig-a] cannot here [Conformance]" status="skipped" time="1"><skipped
    message="skipped - needs three nodes"></skipped></testcase>
  <testcase name="[It] [sig-a] breaks [Conformance]" status="failed" time="61"><failure type="failed">
    timed out waiting
    at pod.go:7</failure></testcase>
  <testcase name="[It] [sig-a] is cut short [Conformance]" status="interrupted" time="3"><error type="interrupted"
    >Interrupted by Timeout</error></testcase>
  <testcase name="[SynchronizedAfterSuite]" status="failed" time="1"><failure type="failed">no end</failure></testcase>
</testsuite></testsuites>
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "junit_01.xml"
    path.write_text(REPORT)
    return path


def test_results_are_the_chosen_tests_and_what_went_wrong_around_them(report: Path) -> None:
    assert results.read(report) == (
        Result(name="[sig-a] works [Conformance]", state="passed", seconds=12.5, said=""),
        Result(
            name="[sig-a] cannot here [Conformance]", state="skipped", seconds=1, said="skipped - needs three nodes"
        ),
        Result(
            name="[sig-a] breaks [Conformance]", state="failed", seconds=61, said="timed out waiting\n    at pod.go:7"
        ),
        Result(
            name="[sig-a] is cut short [Conformance]", state="interrupted", seconds=3, said="Interrupted by Timeout"
        ),
        Result(name="[SynchronizedAfterSuite]", state="failed", seconds=1, said="no end"),
    )


def test_success_is_every_selected_test_passed_and_no_other_run() -> None:
    passed = tuple(Result(name=name, state="passed", seconds=1, said="") for name in "ab")
    assert results.problems("ab", passed) == ()
    assert results.problems("abc", passed) == ("did not run: c",)
    assert results.problems("a", passed) == ("ran, though not selected: b",)
    skipped = Result(name="b", state="skipped", seconds=1, said="skipped - needs three nodes")
    assert results.problems("ab", (passed[0], skipped)) == ("skipped: b",)


def test_a_suite_that_ended_before_its_tests_is_no_success() -> None:
    failed = Result(name="[SynchronizedBeforeSuite]", state="failed", seconds=1, said="nodes are not ready")
    assert results.problems("a", (failed,)) == ("failed: [SynchronizedBeforeSuite]", "did not run: a")


@pytest.mark.parametrize("text", [None, "<testsuites><testsuite>"])
def test_a_report_that_is_missing_or_cut_off_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "junit_01.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabError, match="the tests left no report"):
        results.read(path)
