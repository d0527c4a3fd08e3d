from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.messages import OVERLOAD, SEQUENCE_SHIFT, STILL, Detection, Frame, Result, Skipped
from apps.ui.wall import EARLY_RESULTS, MAX_UNKNOWN, Rate, Ring, Wall
from tests.accounts import everything

START = datetime(2026, 11, 23, 22, tzinfo=UTC)
MODELS = ("motion", "objects")
PATIENCE = timedelta(seconds=5)


def frame(sequence: int, camera: str = "gate", size: int = 10) -> Frame:
    """A frame, captured one second after the previous sequence."""
    at = START + timedelta(seconds=sequence)
    return Frame(camera=camera, sequence=sequence, captured_at=at, width=640, height=360, jpeg=b"x" * size)


def result(sequence: int, model: str, camera: str = "gate") -> Result:
    at = START + timedelta(seconds=sequence)
    return Result(
        camera=camera,
        sequence=sequence,
        captured_at=at,
        width=640,
        height=360,
        model=model,
        model_version="1",
        processed_at=at,
        detections=(Detection(label="car", score=0.9, box=(1, 2, 3, 4)),),
    )


def ring(*sequences: int) -> Ring:
    made = Ring(max_frames=20, max_bytes=1000)
    for sequence in sequences:
        made.add_frame(frame(sequence))
    return made


@pytest.mark.parametrize(
    ("results", "shown"),
    [
        ([], 9),
        ([(7, "motion"), (7, "objects"), (8, "motion")], 7),
        ([(6, "motion"), (6, "objects"), (7, "motion"), (7, "objects")], 7),
        ([(8, "motion"), (6, "objects")], 8),
        ([(3, "motion"), (3, "objects")], 9),
        ([(3, "motion"), (3, "objects"), (5, "motion")], 5),
    ],
)
def test_the_newest_complete_frame_is_shown_unless_it_is_too_old(results: list[tuple[int, str]], shown: int) -> None:
    made = ring(*range(10))
    for sequence, model in results:
        made.add_result(result(sequence, model))
    best = made.frame_to_show(MODELS, PATIENCE)
    assert best is not None and best.frame.sequence == shown


def shown(made: Ring) -> int:
    best = made.frame_to_show(MODELS, PATIENCE)
    assert best is not None
    return best.frame.sequence


def test_the_picture_never_goes_back() -> None:
    made = ring(*range(10))
    assert shown(made) == 9
    made.add_result(result(7, "motion"))
    assert shown(made) == 9
    for sequence in (10, 11):
        made.add_frame(frame(sequence))
        made.add_result(result(sequence - 1, "motion"))
        assert shown(made) == sequence - 1
    for model in MODELS:
        made.add_result(result(8, model))
    assert shown(made) == 10
    made.add_result(result(10, "objects"))
    assert shown(made) == 10


def test_a_frame_that_was_shown_does_not_stay_for_longer_than_a_model_is_waited_for() -> None:
    made = ring(*range(10))
    assert shown(made) == 9
    made.add_result(result(8, "motion"))
    for sequence, at in ((12, 9), (13, 9), (14, 14), (15, 15)):
        made.add_frame(frame(sequence))
        assert shown(made) == at


def test_a_frame_that_was_shown_and_dropped_holds_nothing_up() -> None:
    made = Ring(max_frames=2, max_bytes=1000)
    for sequence in range(4):
        made.add_frame(frame(sequence))
        assert shown(made) == sequence
    made.add_frame(frame(1000))
    made.add_frame(frame(5))
    assert shown(made) == 5


def test_a_ring_holds_its_limits_and_the_order() -> None:
    made = Ring(max_frames=3, max_bytes=100)
    for sequence in (5, 4, 6, 6, 7):
        made.add_frame(frame(sequence))
    assert [made.shot(sequence) is not None for sequence in (4, 5, 6, 7)] == [False, True, True, True]
    made.add_frame(frame(8, size=95))
    assert made.shot(7) is None and made.shot(8) is not None
    made.add_frame(frame(9, size=500))
    assert made.shot(9) is not None, "the newest stays even where it is too big"


def test_a_result_may_come_before_its_frame() -> None:
    made = ring(1)
    for sequence in (0, 2, 3):
        for model in MODELS:
            made.add_result(result(sequence, model))
    made.add_frame(frame(2))
    best = made.frame_to_show(MODELS, PATIENCE)
    assert best is not None and best.frame.sequence == 2 and set(best.results) == set(MODELS)


def test_results_whose_frames_never_come_are_forgotten() -> None:
    made = Ring(max_frames=20, max_bytes=1000)
    for sequence in range(EARLY_RESULTS + 1):
        made.add_result(result(sequence, "motion"))
    for sequence in (0, EARLY_RESULTS):
        made.add_frame(frame(sequence))
    gone, kept = made.shot(0), made.shot(EARLY_RESULTS)
    assert gone is not None and not gone.results
    assert kept is not None and set(kept.results) == {"motion"}


SET_BACK = 7200 << SEQUENCE_SHIFT
"""By how much lower a run's numbers are when it starts after the clock was set back by two hours."""


def test_a_clock_that_is_set_back_stops_no_camera() -> None:
    made = Ring(max_frames=3, max_bytes=1000)
    for at in range(5):
        made.add_frame(replace(frame(at), captured_at=START + timedelta(hours=2, seconds=at)))
        made.add_result(result(at, "motion"))
    # The same run goes on: its numbers count up, its times do not.
    made.add_frame(frame(5))
    best = made.frame_to_show(MODELS, PATIENCE)
    assert best is not None and best.frame.sequence == 5, "a frame of the wrong time is shown although there is a newer"


def test_a_run_with_lower_numbers_takes_the_place_of_the_one_before() -> None:
    made = Ring(max_frames=3, max_bytes=1000)
    for at in range(5):
        made.add_frame(replace(frame(at), sequence=SET_BACK + at))
    for at in range(5):
        made.add_result(result(at, "motion"))
        made.add_frame(frame(at))
        best = made.frame_to_show(["motion"], PATIENCE)
        assert best is not None and best.frame.sequence == at and set(best.results) == {"motion"}
    assert made.shot(SET_BACK + 4) is None


def test_results_that_wait_from_before_the_clock_was_set_back_keep_no_others_out() -> None:
    made = Ring(max_frames=20, max_bytes=1000)
    for at in range(EARLY_RESULTS):
        made.add_result(result(SET_BACK + at, "motion"))
    made.add_result(result(1, "motion"))
    made.add_frame(frame(1))
    shot = made.shot(1)
    assert shot is not None and set(shot.results) == {"motion"}


def test_one_frame_from_the_future_is_not_shown_for_longer_than_any_other() -> None:
    made = ring(1)
    made.add_frame(replace(frame(2), captured_at=START + timedelta(days=27_000)))
    for model in MODELS:
        made.add_result(result(2, model))
    for sequence in (3, 4):
        made.add_frame(frame(sequence))
    made.add_result(result(3, "motion"))
    best = made.frame_to_show(MODELS, PATIENCE)
    assert best is not None and best.frame.sequence == 3


def wall() -> Wall:
    return Wall(["gate", "lobby"], MODELS, patience=PATIENCE, ring_bytes=10_000)


STREAMING = {"gate": {"state": "streaming", "error": None}}


def test_a_browser_is_told_only_what_changed() -> None:
    made = wall()
    first = made.changes(None, STREAMING, everything)
    assert [camera["name"] for camera in first["cameras"]] == ["gate", "lobby"]
    assert made.changes(first["token"], STREAMING, everything)["cameras"] == []
    made.add_frame(frame(1, "lobby"), now=0)
    second = made.changes(first["token"], STREAMING, everything)
    assert [camera["name"] for camera in second["cameras"]] == ["lobby"]
    assert second["cameras"][0]["frame"]["image"] == "/api/cameras/lobby/frames/1.jpg"
    made.add_result(result(1, "objects", "lobby"), now=0, written_at=START)
    third = made.changes(second["token"], {"gate": {"state": "backoff", "error": "refused"}}, everything)
    assert {camera["name"]: camera["state"] for camera in third["cameras"]} == {"gate": "backoff", "lobby": "unknown"}
    assert third["cameras"][1]["frame"]["results"][0]["detections"][0]["label"] == "car"


def test_a_browser_is_told_all_that_a_model_gave() -> None:
    made = wall()
    made.add_frame(frame(1), now=0)
    parts = Detection(
        label="car", score=0.9, box=(1, 2, 3, 4), polygon=((1, 2), (3, 2), (3, 4)), keypoints=((2, 3, 0.4),), angle=0.5
    )
    made.add_result(replace(result(1, "objects"), detections=(parts,)), now=0, written_at=START)
    [told] = made.changes(None, STREAMING, everything)["cameras"][0]["frame"]["results"]
    assert told == {"model": "objects", "model_version": "1", "inference": None, "detections": [parts.document]}


@pytest.mark.parametrize("token", ["", "x", "x.5", ".", "1.1.1", None])
def test_a_foreign_token_gets_everything(token: str | None) -> None:
    assert len(wall().changes(token, {}, everything)["cameras"]) == 2


def test_cameras_that_nobody_announced_join_the_wall() -> None:
    made = wall()
    made.add_frame(frame(1, "yard"), now=0)
    states: dict[str, dict[str, object]] = {"attic": {"state": "backoff", "error": None}}
    names = [camera["name"] for camera in made.changes(None, states, everything)["cameras"]]
    assert names == ["attic", "gate", "lobby", "yard"]


def names_on(made: Wall) -> set[str]:
    return {camera["name"] for camera in made.changes(None, STREAMING, everything)["cameras"]}


def test_unknown_names_do_not_grow_the_wall_without_bound_and_are_counted_and_said() -> None:
    made = wall()
    shown = [made.add_frame(frame(1, f"x-{number}"), now=0) for number in range(1000)]
    shown += [made.add_result(result(1, "objects", f"y-{number}"), now=0, written_at=START) for number in range(500)]
    assert sum(shown) == MAX_UNKNOWN == len(names_on(made)) - 2
    told = made.statistics(1, everything)
    assert told["cameras"] == 2 + MAX_UNKNOWN
    assert told["not_shown"] == {"records": 1500 - MAX_UNKNOWN, "camera": "y-499"}
    assert made.add_frame(frame(2, "gate"), now=0) and made.add_frame(frame(2, "x-0"), now=0)
    assert made.jpeg("gate", 2) and made.jpeg("x-0", 2) and not made.jpeg("x-999", 1)


def test_names_from_producers_are_bounded_too() -> None:
    made = wall()
    states = {f"x-{number}": {"state": "streaming", "error": None} for number in range(1000)}
    assert len(made.changes(None, states, everything)["cameras"]) == 2 + MAX_UNKNOWN
    assert made.statistics(1, everything)["not_shown"] == {"records": 0, "camera": None}


def test_unknown_cameras_take_no_memory_of_the_others() -> None:
    made = Wall(["gate"], MODELS, patience=PATIENCE, ring_bytes=8000)
    for sequence in range(60):
        made.add_frame(frame(sequence, "gate", size=100), now=0)
    for number in range(MAX_UNKNOWN):
        for sequence in range(60):
            made.add_frame(frame(sequence, f"x-{number}", size=100), now=0)
    kept = {
        name: sum(len(made.jpeg(name, sequence) or b"") for sequence in range(60)) for name in sorted(names_on(made))
    }
    assert kept.pop("gate") == 6000
    kept.pop("lobby", None)
    # The newest frame of a camera stays, however little memory is its own.
    assert sum(kept.values()) <= 2000 + 100 * MAX_UNKNOWN
    assert min(kept.values()) == 100


def test_statistics() -> None:
    made = wall()
    for sequence in range(10):
        made.add_frame(frame(sequence), now=100 + sequence)
    made.add_result(result(8, "objects"), now=109, written_at=START + timedelta(seconds=10))
    told = made.statistics(110, everything)
    assert told["frames_per_second"] == 1.0
    assert told["results_per_second"] == 0.1
    assert told["behind_seconds"] == {"motion": 10.0, "objects": 2.0}
    assert told["latency_seconds"] == 10.0


def test_cameras_that_are_not_seen_are_in_no_statistics_and_no_answer() -> None:
    made, sees = wall(), {"lobby"}.__contains__
    for sequence in range(10):
        made.add_frame(frame(sequence), now=100 + sequence)
    made.add_frame(frame(0, camera="lobby"), now=105)
    made.add_result(result(0, "objects", camera="lobby"), now=105, written_at=START + timedelta(seconds=1))
    made.add_result(result(0, "objects"), now=105, written_at=START + timedelta(seconds=60))
    told = made.statistics(110, sees)
    assert (told["cameras"], told["frames_per_second"], told["results_per_second"]) == (1, 0.1, 0.1)
    assert told["behind_seconds"] == {"motion": 5.0, "objects": 1.0}
    states: dict[str, dict[str, object]] = {name: {"state": "streaming", "error": None} for name in ("attic", "lobby")}
    first = made.changes(None, states, sees)
    assert [camera["name"] for camera in first["cameras"]] == ["lobby"]
    made.add_frame(frame(11), now=111)
    assert made.changes(first["token"], states, sees)["cameras"] == []


def test_the_token_does_not_tell_how_much_happens_at_other_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5000]
    monkeypatch.setattr("time.monotonic_ns", lambda: now[0])
    made = wall()
    for sequence in range(5):
        made.add_frame(frame(sequence), now=0)
        assert len(made.changes(None, {}, {"gate"}.__contains__)["cameras"]) == 1
    now[0] = 9000
    assert made.changes(None, {}, {"lobby"}.__contains__)["token"].endswith(".9000")


@pytest.mark.parametrize("models", [("objects",), ("objects", "motion")])
def test_a_frame_that_was_not_inferred_is_not_shown_before_one_that_was(models: tuple[str, ...]) -> None:
    made = ring(1, 2, 3)
    for model in models:
        made.add_result(result(1, model))
        made.add_result(replace(result(2, model), skipped=Skipped(reason=STILL, carried_from=1)))
        made.add_result(replace(result(3, model), skipped=Skipped(reason=OVERLOAD, carried_from=None)))
    best = made.frame_to_show(models, PATIENCE)
    assert best is not None and best.frame.sequence == 2


def test_a_frame_that_was_not_inferred_is_shown_where_there_is_no_other() -> None:
    made = ring(1, 2)
    made.add_result(replace(result(1, "objects"), skipped=Skipped(reason=OVERLOAD, carried_from=None)))
    best = made.frame_to_show(MODELS, PATIENCE)
    assert best is not None and best.frame.sequence == 1


def test_a_rate_forgets() -> None:
    rate = Rate()
    for _ in range(50):
        rate.count(10.5)
    assert rate.per_second(10.9) == 0
    assert rate.per_second(11.1) == 5
    assert rate.per_second(25) == 0


def test_a_tile_says_where_its_detections_come_from() -> None:
    wall = Wall(["gate"], ["objects"], patience=PATIENCE, ring_bytes=1000)
    wall.add_frame(frame(2), now=0)
    wall.add_result(
        replace(result(2, "objects"), skipped=Skipped(reason=STILL, carried_from=1)), now=0, written_at=START
    )
    (tile,) = wall.changes(None, {}, everything)["cameras"]
    (shown,) = tile["frame"]["results"]
    assert shown["inference"] == {"skipped": "still", "carried_from": 1, "text": "as in frame 1: nothing moved"}
    assert [found["label"] for found in shown["detections"]] == ["car"]
