import itertools
from datetime import UTC, datetime, timedelta

import pytest

from apps.spark_jobs.overload import MAX_CAMERAS, Thinning, load_thinning
from tests.jobs import job_spec

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def thinning(seconds: float = 10) -> Thinning:
    return Thinning(seconds=seconds, clock=NOW.timestamp)


def sent(*seconds_ago: float) -> list[datetime]:
    return [NOW - timedelta(seconds=ago) for ago in seconds_ago]


@pytest.mark.parametrize(
    ("seconds_ago", "share"),
    [
        ([], 1),
        ([0, 1, 2], 1),
        ([10], 1),
        ([20, 20, 20], 0.5),
        ([100], 0.1),
        ([3600], 1 / 360),
        ([1, 2, 86_400], 1),
        ([-86_400, 20, 20], 0.5),
    ],
)
def test_the_share_falls_with_the_delay_of_most_frames(seconds_ago: list[float], share: float) -> None:
    assert thinning().share(sent(*seconds_ago)) == pytest.approx(share)


@pytest.mark.parametrize(("share", "of_hundred"), [(1, 100), (0.75, 75), (0.5, 50), (0.3, 30), (0.1, 10), (0.01, 1)])
def test_a_share_of_each_camera_s_frames_is_looked_at_evenly(share: float, of_hundred: int) -> None:
    made = thinning()
    looked: dict[str, list[int]] = {"gate": [], "yard": []}
    for at in range(100):
        for camera, kept in looked.items():
            if made.looks(camera, share):
                kept.append(at)
    for kept in looked.values():
        assert len(kept) == pytest.approx(of_hundred, abs=1)
        gaps = {after - before for before, after in itertools.pairwise(kept)}
        assert max(gaps, default=1) - min(gaps, default=1) <= 1, gaps


def test_cameras_that_went_are_forgotten() -> None:
    made = thinning()
    for number in range(MAX_CAMERAS + 1):
        made.looks(f"camera-{number}", 0.1)
    assert made.looks("camera-0", 0.1), "as a new camera's first frame"
    assert not made.looks(f"camera-{MAX_CAMERAS}", 0.1)


def test_a_model_that_waits_has_no_thinning() -> None:
    assert load_thinning(job_spec()) is None
    assert load_thinning(job_spec(overload_seconds=10.0)) is not None
