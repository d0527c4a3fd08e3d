"""Which frames a test may require in every sink, if producers survived, died or lost frames themselves."""

from apps.messages import SEQUENCE_SHIFT
from tests.e2e.accounting import expected_frames, undelivered, versions_in_order
from tests.e2e.cluster import CameraState

OLD, NEW = 100 << SEQUENCE_SHIFT, 200 << SEQUENCE_SHIFT


def camera(first: int, last: int, *failed: int) -> CameraState:
    return CameraState(name="gate", state="streaming", error=None, first=first, last=last, failed=frozenset(failed))


def expected(before: CameraState, after: CameraState, *seen: int) -> set[int]:
    frames = expected_frames({"gate": before}, {"gate": after}, [("gate", sequence) for sequence in seen])
    return {sequence for _, sequence in frames}


def test_a_producer_that_lived_says_what_it_delivered() -> None:
    assert expected(camera(OLD, OLD + 3), camera(OLD, OLD + 6)) == {OLD + 4, OLD + 5, OLD + 6}


def test_what_never_reached_kafka_is_not_demanded() -> None:
    assert expected(camera(OLD, OLD + 3), camera(OLD, OLD + 6, OLD + 5)) == {OLD + 4, OLD + 6}


def test_of_a_run_that_died_everything_up_to_the_last_frame_seen_is_demanded() -> None:
    found = expected(camera(OLD, OLD + 3), camera(NEW, NEW + 1), OLD + 2, OLD + 6, NEW)
    assert found == {OLD + 4, OLD + 5, OLD + 6, NEW, NEW + 1}


def test_a_run_in_between_counts_from_its_beginning() -> None:
    between = 150 << SEQUENCE_SHIFT
    found = expected(camera(OLD, OLD + 3), camera(NEW, NEW), between + 1)
    assert found == {between, between + 1, NEW}


def test_what_was_there_before_is_not_counted() -> None:
    assert expected(camera(OLD, OLD + 3), camera(NEW, NEW), OLD + 1) == {NEW}


def test_a_cameras_versions_are_told_in_the_order_of_its_frames() -> None:
    done = [("gate", 3, "new"), ("gate", 1, "old"), ("yard", 7, "new"), ("gate", 2, "old"), ("gate", 4, "new")]
    results = [
        {"camera": {"name": camera}, "frame": {"sequence": sequence}, "model": {"version": version}}
        for camera, sequence, version in done
    ]
    assert versions_in_order(results) == {"gate": ["old", "new"], "yard": ["new"]}


def test_a_frame_that_is_done_by_the_old_version_after_the_new_is_seen() -> None:
    results = [
        {"camera": {"name": "gate"}, "frame": {"sequence": sequence}, "model": {"version": version}}
        for sequence, version in enumerate(["old", "new", "old", "new"])
    ]
    assert versions_in_order(results) == {"gate": ["old", "new", "old", "new"]}


def test_what_a_producer_was_seen_to_have_delivered_is_demanded_though_no_sink_has_it() -> None:
    between = 150 << SEQUENCE_SHIFT
    witnessed = [camera(OLD, OLD + 5), camera(between, between + 3, between + 2)]
    frames = expected_frames({"gate": camera(OLD, OLD + 3)}, {"gate": camera(NEW, NEW)}, [], witnessed)
    assert {sequence for _, sequence in frames} == {OLD + 4, OLD + 5, between, between + 1, between + 3, NEW}


def test_a_frame_that_a_producer_said_it_failed_before_it_died_is_not_demanded() -> None:
    witnessed = [camera(OLD, OLD + 5, OLD + 5)]
    seen = [("gate", OLD + 7)]
    frames = expected_frames({"gate": camera(OLD, OLD + 3)}, {"gate": camera(NEW, NEW)}, seen, witnessed)
    assert {sequence for _, sequence in frames} == {OLD + 4, OLD + 6, OLD + 7, NEW}


def test_what_never_came_to_kafka_is_counted_also_of_a_run_that_died() -> None:
    start = {"gate": camera(OLD, OLD + 3, OLD + 2)}
    died = camera(OLD, OLD + 9, OLD + 2, OLD + 8)
    assert undelivered(start, {"gate": camera(NEW, NEW + 4, NEW + 1)}, [died]) == {("gate", OLD + 8), ("gate", NEW + 1)}
