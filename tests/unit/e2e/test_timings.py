"""Timings are kept from run to run and shown as a table."""

from pathlib import Path

from tests.e2e.timings import Timings, shown


def test_measurements_of_several_runs_are_one_table(tmp_path: Path) -> None:
    file = tmp_path / "artifacts" / "timings.jsonl"
    assert Timings(file).read() == {}
    for seconds in (6.04, 4.0, 9.0):
        Timings(file).took("the API answers", seconds, "10 frames")
    Timings(file).took("a worker added", 38.0)
    assert shown(Timings(file).read()).splitlines()[2:] == [
        "| the API answers |              4.0 / 6.0 / 9.0 |     3 |",
        "| a worker added  |                         38.0 |     1 |",
    ]
