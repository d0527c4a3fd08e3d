from tests.bench.table import ratio, spread, table


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    assert table(("step", "seconds"), [("a", "1.0"), ("longer", "100.0")]).splitlines() == [
        "| step   | seconds |",
        "| ------ | ------: |",
        "| a      |     1.0 |",
        "| longer |   100.0 |",
    ]


def test_one_value_is_shown_alone_and_several_with_their_spread() -> None:
    assert spread([2.04]) == "2.0"
    assert spread([3.0, 1.0, 2.0, 10.0]) == "1.0 / 2.5 / 10.0"


def test_a_ratio_is_that_of_the_medians() -> None:
    assert ratio([1.0, 3.0, 100.0], [2.0]) == "1.50"
