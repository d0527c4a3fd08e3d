"""The same seed causes the same faults; two runs have every kind; what a fault may do is bounded."""

from collections import Counter
from itertools import islice

import pytest

from tests.marathon.kinds import KINDS
from tests.marathon.schedule import DRAWS, PAUSE_S, chosen, plan

HOLDS = {name: kind.hold_s for name, kind in KINDS.items()}
HALF = (len(HOLDS) + 1) // 2


def names(seed: int, count: int) -> list[str]:
    return [planned.kind for planned in islice(plan(seed, HOLDS), count)]


def test_the_same_seed_causes_the_same_faults_in_any_order_of_the_kinds() -> None:
    other = dict(reversed(HOLDS.items()))
    assert list(islice(plan(7, HOLDS), 30)) == list(islice(plan(7, other), 30))


def test_another_seed_causes_others() -> None:
    assert len({tuple(names(seed, HALF)) for seed in range(1, 21)}) == 20


def test_a_pair_of_runs_that_each_have_time_for_half_of_the_kinds_has_all_of_them() -> None:
    for seed in range(1, 20, 2):
        assert {*names(seed, HALF), *names(seed + 1, HALF)} == set(HOLDS)


def test_twenty_runs_have_each_kind_ten_times() -> None:
    counts = Counter(name for seed in range(1, 21) for name in names(seed, HALF))
    assert counts.keys() == HOLDS.keys()
    assert min(counts.values()) >= 10


def test_a_run_with_time_for_more_has_each_kind_before_one_comes_again() -> None:
    for seed in range(1, 9):
        assert Counter(names(seed, 3 * len(HOLDS))) == dict.fromkeys(HOLDS, 3)


def test_every_fault_stands_as_long_as_its_kind_allows() -> None:
    for planned in islice(plan(3, HOLDS), 200):
        least, most = HOLDS[planned.kind]
        assert least <= planned.hold_s <= most
        assert PAUSE_S[0] <= planned.pause_s <= PAUSE_S[1]
        assert len(planned.draws) == DRAWS and all(0 <= draw <= 1 for draw in planned.draws)


def test_one_kind_alone_comes_again_and_again() -> None:
    assert [each.kind for each in islice(plan(2, {"disk-full": (1, 2)}), 3)] == ["disk-full"] * 3


def test_no_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind"):
        next(plan(1, {}))


def test_every_candidate_can_be_chosen_and_the_ends_are_among_them() -> None:
    candidates = ["a", "b", "c"]
    assert [chosen(draw, candidates) for draw in (0, 0.33, 0.34, 0.67, 1)] == ["a", "a", "b", "c", "c"]
    with pytest.raises(ValueError):
        chosen(0.5, [])
