"""How fast executors empty a topic is read while there is enough in it."""

import pytest

from lab.config import LabError
from tests.bench.frames.filled import emptied


def test_the_rate_is_that_of_the_lag_while_frames_wait() -> None:
    at = [0.0, 2.0, 4.0, 6.0, 8.0]
    assert emptied(at, [1000, 900, 800, 700, 600], 50) == pytest.approx(50)
    # What is left at the end goes in a batch that is not full.
    assert emptied(at, [1000, 900, 800, 40, 0], 50) == pytest.approx(50)


@pytest.mark.parametrize("lags", [[0, 0, 0], [900, 10, 0]])
def test_a_topic_that_is_empty_too_soon_is_said(lags: list[float]) -> None:
    with pytest.raises(LabError, match="fill it with more frames"):
        emptied([0.0, 2.0, 4.0], lags, 50)
