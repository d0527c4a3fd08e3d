"""The replay of labelled runs with the gate."""

from apps.messages import Detection
from apps.spark_jobs.models.stillness import view_of
from tests.bench.accuracy_gated import Replay, Shot, replay_parts, replay_whole
from tests.scoring import Real, everything_kept
from tests.unit.apps.spark_jobs.frames import frame, scene

LEFT, RIGHT = (100.0, 60.0, 140.0, 100.0), (500.0, 60.0, 540.0, 100.0)
"""Boxes in the first and in the last column of parts, which have 160 pixels each."""


def shots(count: int, moved_from: int) -> list[Shot]:
    """Frames a second apart, each with a person left and one right. The right one moves once, unseen by its label."""
    made = []
    for number in range(count):
        image = scene()
        x = 460 if number < moved_from else 500
        image[60:100, x : x + 40] = 255
        image[60:100, 100:140] = 255
        seen = frame(image, number)
        boxes = (LEFT, (x, 60.0, x + 40.0, 100.0))
        made.append(
            Shot(
                frame=seen,
                detections=tuple(Detection(label="person", score=0.9, box=box) for box in boxes),
                real=tuple(Real(label="person", box=box) for box in boxes),
                view=view_of(seen),
            )
        )
    return made


def recall(replay: Replay) -> float:
    return replay.gated.of({"person"}, everything_kept).recall


def test_a_whole_picture_is_looked_at_where_something_moved_and_when_the_time_is_over() -> None:
    replay = Replay()
    replay_whole(shots(10, moved_from=3), replay)
    assert (replay.decided, replay.looked, len(replay.seconds)) == (10, 3, 10), "frames 0, 3 and 8"
    assert recall(replay) == 1


def test_only_the_parts_are_looked_at_in_which_something_moved() -> None:
    replay = Replay()
    replay_parts(shots(4, moved_from=3), replay)
    # The right person stands across two parts, and then in the last one alone.
    assert (replay.decided, replay.looked) == (4 * 12, 12 + 2)
    assert recall(replay) == 1


def test_frames_before_the_run_are_replayed_and_not_scored() -> None:
    replay, shown = Replay(), shots(3, moved_from=9)
    shown[0] = Shot(frame=shown[0].frame, detections=shown[0].detections, real=None, view=shown[0].view)
    replay_whole(shown, replay)
    assert (replay.decided, replay.looked) == (2, 0)


def test_what_the_gate_missed_lowers_recall_against_every_look() -> None:
    replay, shown = Replay(), shots(2, moved_from=9)
    elsewhere = tuple(Real(label="person", box=box) for box in (LEFT, (300.0, 200.0, 340.0, 240.0)))
    found = tuple(Detection(label="person", score=0.9, box=one.box) for one in elsewhere)
    shown[1] = Shot(frame=shown[1].frame, detections=found, real=elsewhere, view=shown[1].view)
    replay_whole(shown, replay)
    assert (recall(replay), replay.always.of({"person"}, everything_kept).recall) == (0.75, 1.0)
