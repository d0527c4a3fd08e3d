"""The table of two settings measured by turns."""

from tests.bench.frames.pairs import Pair, shown
from tests.bench.frames.report import Step
from tests.unit.bench.frames.test_report import step


def test_each_pair_gives_its_ratio_and_the_median_counts() -> None:
    def at(processed: float) -> Step:
        return step(100, reached=100, slopes={"objects": 100 - processed, "motion": -1})

    text = shown([Pair(at(50), at(45)), Pair(at(50), at(50)), Pair(at(40), at(39))])
    assert "Median of the ratios: 0.97 in frames/s, 0.97 in frames a second of CPU." in text
    assert [line.split("|")[2:5] for line in text.splitlines()[2:5]] == [
        ["            50.0 ", "   45.0 ", "   0.90 "],
        ["            50.0 ", "   50.0 ", "   1.00 "],
        ["            40.0 ", "   39.0 ", "   0.97 "],
    ]
    assert "B of pair 3: none missing" in text
