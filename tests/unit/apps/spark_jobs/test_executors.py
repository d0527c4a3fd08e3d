"""When a job's query is restarted for another number of executors."""

from dataclasses import dataclass, field

from apps.spark_jobs.executors import PATIENCE_SECONDS, Allocation
from apps.spark_jobs.scaling import Limits

LIMITS = Limits(minimum=1, maximum=4, target_lag_seconds=10, cool_down_seconds=0)


@dataclass
class Executors:
    """Executors that start and stop when the test says so."""

    ids: list[str] = field(default_factory=lambda: ["0"])
    requests: list[int] = field(default_factory=list)
    now: float = 0.0
    prepared: list[int] = field(default_factory=list)
    preparing: bool = False

    def prepare(self, count: int) -> None:
        self.prepared.append(count)

    def running(self) -> list[str]:
        return list(self.ids)

    def request(self, total: int) -> None:
        self.requests.append(total)

    def stop(self, ids: list[str]) -> None:
        self.ids = [each for each in self.ids if each not in ids]

    def clock(self) -> float:
        return self.now


def behind(allocation: Allocation) -> None:
    """Report a lag of thirty seconds' work for the present executors."""
    for _ in range(2):
        allocation.batch_done(rows=20, busy_seconds=1, waiting=600)


def idle(allocation: Allocation) -> None:
    """Report a batch without frames."""
    allocation.batch_done(rows=0, busy_seconds=0, waiting=0)


def made() -> tuple[Executors, Allocation]:
    executors = Executors()
    return executors, Allocation(LIMITS, executors, executors.clock)


def test_the_query_goes_on_until_the_new_executors_are_there() -> None:
    executors, allocation = made()
    assert not allocation.due()
    behind(allocation)
    assert allocation.wanted == 3
    assert not allocation.due()
    assert not allocation.due()
    assert executors.requests == [1, 3], "asked for once"
    executors.ids += ["1", "2"]
    assert allocation.due()
    allocation.apply()
    assert allocation.used == 3
    assert not allocation.due()


def test_new_ones_load_the_model_before_the_query_counts_on_them() -> None:
    executors, allocation = made()
    behind(allocation)
    assert not allocation.due()
    assert executors.prepared == [1]
    executors.ids += ["1", "2"]
    executors.preparing = True
    assert not allocation.due(), "the first is still at it"
    assert executors.prepared == [1]
    executors.preparing = False
    assert allocation.due()
    assert executors.prepared == [1, 3]
    executors.preparing = True
    assert not allocation.due()
    executors.preparing = False
    assert allocation.due()
    assert executors.prepared == [1, 3], "once"


def test_one_that_comes_in_the_place_of_another_loads_the_model_too() -> None:
    executors, allocation = made()
    allocation.due()
    executors.ids = ["1"]
    assert not allocation.due()
    assert executors.prepared == [1, 1]


def test_without_room_for_all_those_that_came_are_used() -> None:
    executors, allocation = made()
    behind(allocation)
    allocation.due()
    executors.ids.append("1")
    assert not allocation.due()
    executors.now += PATIENCE_SECONDS + 1
    assert allocation.due()
    allocation.apply()
    assert allocation.used == 2


def test_what_was_asked_for_and_never_came_is_not_asked_for_any_longer() -> None:
    executors, allocation = made()
    behind(allocation)
    allocation.due()
    executors.now += 40
    idle(allocation)
    assert not allocation.due()
    assert executors.requests == [1, 3, 1]


def test_one_that_comes_when_no_longer_wanted_is_used_and_let_go_like_any_other() -> None:
    executors, allocation = made()
    behind(allocation)
    allocation.due()
    executors.now += 40
    idle(allocation)
    allocation.due()
    executors.ids.append("1")
    assert allocation.due()
    assert executors.requests == [1, 3, 1, 2]
    allocation.apply()
    assert allocation.used == 2
    assert not allocation.due(), "it has not been too many for long"
    idle(allocation)
    assert allocation.due()
    allocation.apply()
    assert executors.ids == ["0"]
    assert allocation.used == 1


def test_the_newest_go_first_and_nothing_is_started_for_them() -> None:
    executors, allocation = made()
    behind(allocation)
    allocation.due()
    executors.ids += ["1", "2"]
    allocation.apply()
    executors.now += 40
    idle(allocation)
    assert allocation.wanted == 2
    assert allocation.due()
    allocation.apply()
    assert executors.ids == ["0", "1"]
    assert executors.requests[-1] == 2
    assert allocation.used == 2
