import pytest

from tests.scoring import Found, Real, Scores, overlap

PERSON = Real(label="person", box=(0, 0, 10, 20))


def sure(one: Found) -> bool:
    return one.score >= 0.5


def found(score: float, *, left: float = 0.0, label: str = "person") -> Found:
    return Found(label=label, score=score, box=(left, 0, left + 10, 20))


def test_what_is_found_where_it_is_counts_once() -> None:
    scores = Scores()
    scores.add([found(0.9), found(0.8, left=1)], [PERSON])
    figures = scores.of({"person"}, sure)
    assert (figures.objects, figures.found, figures.matched) == (1, 2, 1)
    assert (figures.precision, figures.recall) == (0.5, 1.0)
    assert figures.average_precision_50 == pytest.approx(1.0)


def test_what_is_not_found_lowers_recall_and_what_is_not_there_precision() -> None:
    scores = Scores()
    scores.add([found(0.9, left=100)], [PERSON])
    scores.add([], [PERSON])
    figures = scores.of({"person"}, sure)
    assert (figures.precision, figures.recall, figures.average_precision_50) == (0.0, 0.0, 0.0)


def test_what_does_not_count_is_passed_over() -> None:
    scores = Scores()
    scores.add([found(0.9)], [Real(label="person", box=PERSON.box, counts=False)])
    figures = scores.of({"person"}, sure)
    assert (figures.objects, figures.found) == (0, 0)


def test_labels_are_told_apart_unless_they_are_scored_together() -> None:
    scores = Scores()
    scores.add([found(0.9, label="truck")], [Real(label="car", box=PERSON.box)])
    assert scores.of({"car"}, sure).recall == 0
    assert scores.of({"car", "truck"}, sure).recall == 1


def test_a_score_below_the_threshold_matters_to_the_curve_alone() -> None:
    scores = Scores()
    scores.add([found(0.3)], [PERSON])
    figures = scores.of({"person"}, sure)
    assert (figures.recall, figures.average_precision_50) == (0.0, pytest.approx(1.0))


def test_a_loose_box_matches_at_the_low_bars_only() -> None:
    scores = Scores()
    scores.add([found(0.9, left=2)], [PERSON])
    assert overlap((2, 0, 12, 20), PERSON.box) == pytest.approx(2 / 3)
    # Matches at 0.50, 0.55, 0.60 and 0.65 of the ten thresholds.
    assert scores.of({"person"}, sure).average_precision == pytest.approx(0.4)
