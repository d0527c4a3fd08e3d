"""Every conformance test runs or is skipped for a stated reason, and the runner gets the same selection."""

import re
from pathlib import Path

import pytest

from lab.config import LabError
from tests.conformance.selection import Selection, Skip, only, read, select, skipped

TESTS = (
    "[sig-node] Pods should be updated [NodeConformance] [Conformance]",
    "[sig-apps] Daemon set [Serial] should run and stop simple daemon [Conformance]",
    '[sig-node] Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe [Conformance]',
    "[sig-apps] CronJob should not schedule jobs when suspended [Slow] [Conformance]",
    "[sig-node] Sysctls [LinuxOnly] [Serial] should be (re)set + kept [Slow] [Conformance]",
)
SERIAL = Skip(reason="want the cluster to themselves", parts=("[Serial]",))
SLOW = Skip(reason="wait for minutes", parts=("[Slow]",))
PROBE = Skip(reason="a probe", parts=('should *not* be restarted with a exec "cat',))


def written(folder: Path, text: str) -> Path:
    path = folder / "skipped.yaml"
    path.write_text(text)
    return path


def test_every_test_is_selected_or_counts_for_its_first_reason() -> None:
    chosen = select((SERIAL, SLOW), TESTS)
    assert chosen.selected == (TESTS[0], TESTS[2])
    assert chosen.skipped == {SERIAL.reason: (TESTS[1], TESTS[4]), SLOW.reason: (TESTS[3],)}
    assert chosen.total == len(TESTS)


def test_a_part_that_names_no_test_is_refused() -> None:
    with pytest.raises(LabError, match=r"no conformance test is named so.*\[Disruptive\]"):
        select((SERIAL, Skip(reason="gone", parts=("[Slow]", "[Disruptive]"))), TESTS)


def test_the_runner_leaves_out_the_same_tests() -> None:
    skips = (SERIAL, SLOW, PROBE)
    pattern = re.compile(skipped(skips))
    assert tuple(test for test in TESTS if not pattern.search(test)) == select(skips, TESTS).selected
    assert skipped((PROBE,)) == r'should \*not\* be restarted with a exec "cat'


def test_the_committed_file_gives_each_reason_once_and_no_part_twice() -> None:
    skips = read()
    parts = [part for skip in skips for part in skip.parts]
    assert len({skip.reason for skip in skips}) == len(skips)
    assert len(set(parts)) == len(parts)
    # Selected tests run beside the pipeline, so they must not disrupt it.
    assert any(skip.means("[sig-node] NoExecuteTaintManager Single Pod [Serial] evicts [Disruptive]") for skip in skips)


def test_a_reason_may_go_over_several_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "- reason: one\n    and the same\n  tests: ['[Serial]']\n")
    assert read(path) == (Skip(reason="one and the same", parts=("[Serial]",)),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- reason: a: b", r"skipped.yaml: mapping values.*\n.*line 1"),
        ("reason: alone", "not a list"),
        ("- reason: no tests", "entry 1: needs `reason` and `tests`"),
        ("- {reason: r, tests: [a], test: b}", "nothing else"),
        ("- {reason: ' ', tests: [a]}", "entry 1: `reason` says nothing"),
        ("- {reason: r, tests: []}", "entry 1: `tests` must be a list"),
        ("- {reason: r, tests: a}", "`tests` must be a list"),
        ("- {reason: r, tests: [a]}\n- {reason: s, tests: ['']}", "entry 2: `tests` must be a list of parts"),
    ],
)
def test_a_bad_entry_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        read(written(tmp_path, text))


def test_a_run_may_be_of_few_tests() -> None:
    chosen = Selection(selected=("a probe", "a scale", "a service"), skipped={"slow": ("a slow probe",)})
    few = only(chosen, ["probe", "service"])
    assert few.selected == ("a probe", "a service")
    assert few.total == chosen.total
    with pytest.raises(LabError, match="no selected conformance test is named so: slow"):
        only(chosen, ["slow"])
