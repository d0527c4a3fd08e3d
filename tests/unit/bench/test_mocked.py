"""The whole program under the benchmark's mocks: a machine costs as much in a large stack as in a small one."""

from typing import Any

import pytest

from tests.bench.preview import program
from tests.bench.stacks import committed, sized, with_key
from tests.unknown_key import UNKNOWN_KEY

COSTS = ("resources", "dependencies", "kib")
MOST_KIB = 190
"""Of messages to the engine for one more machine."""


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the program costs with 4, 10 and 16 workers."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "key").write_text(UNKNOWN_KEY)
    stacks = (sized(committed("prod"), control_planes=3, workers=workers) for workers in (4, 10, 16))
    return [program(with_key(each, folder / "key"), folder) for each in stacks]


def test_the_program_runs_under_mocks(costs: list[dict[str, Any]]) -> None:
    assert costs[0]["resources"] > 100


@pytest.mark.parametrize("cost", COSTS)
def test_a_machine_costs_the_same_however_many_there_are(costs: list[dict[str, Any]], cost: str) -> None:
    few, more, many = (each[cost] for each in costs)
    # The addresses and names of later machines are a little longer.
    assert many - more == pytest.approx(more - few, rel=0.01)


def test_little_is_sent_of_a_machine(costs: list[dict[str, Any]]) -> None:
    assert (costs[2]["kib"] - costs[0]["kib"]) / 12 < MOST_KIB
