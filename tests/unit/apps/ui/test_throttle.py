"""Whoever guesses is slowed down."""

from apps.ui.throttle import FORGOTTEN_SECONDS, LONGEST_WAIT_SECONDS, MOST_KEYS, Throttle


def test_after_the_free_tries_each_waits_twice_as_long() -> None:
    throttle, now, waits = Throttle(3), 0.0, []
    for _ in range(12):
        waits.append(throttle.wait("anna", now))
        now += waits[-1]
        throttle.tried("anna", now)
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert max(waits) == LONGEST_WAIT_SECONDS
    assert throttle.wait("bert", now) == 0


def test_time_that_has_passed_counts() -> None:
    throttle = Throttle(1)
    throttle.tried("anna", 10)
    throttle.tried("anna", 10)
    assert throttle.wait("anna", 10.5) == 1.5
    assert throttle.wait("anna", 13) == 0
    throttle.tried("anna", 13)
    assert throttle.wait("anna", 13) == 4
    assert throttle.wait("anna", 14 + FORGOTTEN_SECONDS) == 0
    throttle.tried("anna", 14 + FORGOTTEN_SECONDS)
    assert throttle.wait("anna", 14 + FORGOTTEN_SECONDS) == 1, "the tries of before do not count"


def test_a_right_try_does_not_count() -> None:
    throttle = Throttle(2)
    for _ in range(4):
        throttle.tried("anna", 0)
    throttle.right("anna", forget=False)
    assert throttle.wait("anna", 0) == 2
    throttle.right("anna", forget=True)
    assert throttle.wait("anna", 0) == 0
    throttle.right("nobody", forget=True)


def test_a_flood_of_names_takes_no_more_memory() -> None:
    throttle = Throttle(0)
    for number in range(MOST_KEYS + 10):
        throttle.tried(f"user-{number}", number / 1e6)
    assert throttle.wait("user-0", 0.1) == 0
    assert throttle.wait(f"user-{MOST_KEYS}", 0.1) > 0
