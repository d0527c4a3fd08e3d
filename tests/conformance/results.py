"""Reads the tests' results from the JUnit report of Kubernetes' test program."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lab.config import LabError

_TEST = "[It] "
"""The prefix of a test's name; the suite's own steps have other prefixes."""
_LEFT_OUT = "skipped"
"""The only message of a test that was not selected; a test that skipped itself says why."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """A test, or a failed step of the whole suite."""

    name: str
    state: str
    """passed, skipped, failed, timedout, interrupted, aborted or panicked."""
    seconds: float
    said: str
    """Why it did not pass."""


def read(report: Path) -> tuple[Result, ...]:
    """All tests that ran or should have. Raises LabError if there is no complete report."""
    try:
        root = ElementTree.parse(report).getroot()
    except (OSError, ElementTree.ParseError) as trouble:
        raise LabError(f"the tests left no report: {trouble}") from trouble
    return tuple(_results(root))


def problems(selected: Sequence[str], results: Sequence[Result]) -> tuple[str, ...]:
    """Why a run failed: every selected test must have passed, and no other may have run."""
    seen = {result.name for result in results}
    return (
        *(f"{each.state}: {each.name}" for each in results if each.state != "passed"),
        *(f"did not run: {name}" for name in selected if name not in seen),
        *(
            f"ran, though not selected: {each.name}"
            for each in results
            if each.state == "passed" and each.name not in selected
        ),
    )


def _results(root: ElementTree.Element) -> Iterable[Result]:
    for case in root.iter("testcase"):
        name, state = case.get("name", ""), case.get("status", "")
        skipped, failure = case.find("skipped"), case.find("failure")
        if failure is None:
            failure = case.find("error")
        if not name.startswith(_TEST) and failure is None:
            continue
        if skipped is not None and skipped.get("message") == _LEFT_OUT:
            continue
        said = skipped.get("message", "") if skipped is not None else ""
        if failure is not None:
            said = failure.text or ""
        seconds = float(case.get("time", "0"))
        yield Result(name=name.removeprefix(_TEST), state=state, seconds=seconds, said=said.strip())
