"""By how much a pod's clock is set, and what proves it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.certificates import certificate
from tests.marathon.clock import STEP_S, otherwise, seconds_of, youngest_s

LEAST, MOST = STEP_S


def test_steps_go_both_ways_and_are_small_as_often_as_large() -> None:
    assert seconds_of(0.0, 0.9, float("inf")) == LEAST and seconds_of(1.0, 0.9, float("inf")) == MOST
    assert seconds_of(0.0, 0.1, float("inf")) == -LEAST and seconds_of(1.0, 0.1, float("inf")) == -MOST
    assert LEAST < seconds_of(0.5, 0.9, float("inf")) < MOST / 4


def test_no_clock_goes_back_before_the_youngest_certificate() -> None:
    assert seconds_of(1.0, 0.1, 600) == -600
    assert seconds_of(1.0, 0.9, 600) == MOST
    # A stack that was made just now: then ahead.
    assert seconds_of(1.0, 0.1, LEAST - 1) == MOST


@pytest.mark.parametrize(("ahead", "wanted"), [(0.6, 0), (-3599.2, -3600), (61.0, 60)])
def test_a_clock_that_is_as_it_should_be(ahead: float, wanted: float) -> None:
    assert otherwise(ahead, wanted) is None


@pytest.mark.parametrize(("ahead", "wanted"), [(0.1, -3600), (-3600, 0), (60, -60)])
def test_a_clock_that_is_not_says_how_it_is(ahead: float, wanted: float) -> None:
    assert f"{ahead:+.0f} s" in (otherwise(ahead, wanted) or "")


def test_the_youngest_of_all_certificates_counts_and_keys_are_not_read(tmp_path: Path) -> None:
    made = certificate(tmp_path / "one", "one")
    key, one = ((made / name).read_text() for name in ("tls.key", "tls.crt"))
    now = datetime.now(UTC) + timedelta(hours=1)
    for content in (key + one, one + key, f'{{"ca": "{one}"}}'):
        assert 3590 < youngest_s(["a password", key, content], now) < 3660
    assert youngest_s(["a password", key], now) == float("inf")
