import pytest

from apps.ui.behind import Delay
from tests.accounts import everything


def test_nothing_is_known_before_the_first_frame() -> None:
    assert Delay().seconds(5, everything) is None


def test_a_model_that_never_answers_is_as_late_as_its_first_frame() -> None:
    delay = Delay()
    for now in (100, 101, 102):
        delay.frame(now, "gate")
    assert delay.seconds(130, everything) == 30


def test_the_delay_is_the_median_of_the_last_seconds() -> None:
    delay = Delay()
    for now in range(100, 130):
        delay.frame(now, "gate")
        delay.result(now, now - 98, "gate")
    assert delay.seconds(129, everything) == pytest.approx(129 - 98 - 5)


def test_a_producer_with_a_wrong_clock_changes_nothing() -> None:
    delay = Delay()
    for wrong in (-3600, 2, 3, 2, 86_400):
        delay.result(100, wrong, "gate")
    assert delay.seconds(100, everything) == 2


def test_a_model_that_stops_is_behind_within_seconds_and_a_quiet_camera_s_is_not() -> None:
    delay = Delay()
    delay.frame(100, "gate")
    delay.result(102, 2, "gate")
    assert delay.seconds(160, everything) == 2, "no frame has come since"
    delay.frame(160, "gate")
    assert delay.seconds(175, everything) == 15


def test_results_of_before_are_forgotten_when_new_ones_come() -> None:
    delay = Delay()
    delay.result(100, 300, "gate")
    delay.result(111, 4, "gate")
    assert delay.seconds(111, everything) == 4


def test_a_producer_whose_clock_is_ahead_gives_no_delay_below_zero() -> None:
    delay = Delay()
    delay.result(100, -1800, "gate")
    assert delay.seconds(100, everything) == 0


def test_only_the_cameras_that_are_seen_count() -> None:
    delay = Delay()
    delay.result(100, 2, "gate")
    delay.result(100, 4, "yard")
    assert [delay.seconds(100, {"gate"}.__contains__), delay.seconds(100, {"yard"}.__contains__)] == [2, 4]
    assert delay.seconds(100, set[str]().__contains__) is None
    delay.frame(103, "yard")
    assert delay.seconds(109, {"gate"}.__contains__) == 2
    assert delay.seconds(109, {"yard"}.__contains__) == 6
