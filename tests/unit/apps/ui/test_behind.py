import pytest

from apps.ui.behind import Delay


def test_nothing_is_known_before_the_first_frame() -> None:
    assert Delay().seconds(5) is None


def test_a_model_that_never_answers_is_as_late_as_its_first_frame() -> None:
    delay = Delay()
    for now in (100, 101, 102):
        delay.frame(now)
    assert delay.seconds(130) == 30


def test_the_delay_is_the_median_of_the_last_seconds() -> None:
    delay = Delay()
    for now in range(100, 130):
        delay.frame(now)
        delay.result(now, now - 98)
    assert delay.seconds(129) == pytest.approx(129 - 98 - 5)


def test_a_producer_with_a_wrong_clock_changes_nothing() -> None:
    delay = Delay()
    for wrong in (-3600, 2, 3, 2, 86_400):
        delay.result(100, wrong)
    assert delay.seconds(100) == 2


def test_a_model_that_stops_is_behind_within_seconds_and_a_quiet_camera_s_is_not() -> None:
    delay = Delay()
    delay.frame(100)
    delay.result(102, 2)
    assert delay.seconds(160) == 2, "no frame has come since"
    delay.frame(160)
    assert delay.seconds(175) == 15


def test_results_of_before_are_forgotten_when_new_ones_come() -> None:
    delay = Delay()
    delay.result(100, 300)
    delay.result(111, 4)
    assert delay.seconds(111) == 4


def test_a_producer_whose_clock_is_ahead_gives_no_delay_below_zero() -> None:
    delay = Delay()
    delay.result(100, -1800)
    assert delay.seconds(100) == 0
