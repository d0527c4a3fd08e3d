"""The gate: which frames the model looks at, and what the others carry."""

from dataclasses import replace
from datetime import timedelta

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from apps.messages import SEQUENCE_SHIFT, STILL, Detection, Frame, FrameError, Skipped
from apps.spark_jobs.gate import MAX_AGE_SECONDS, Gate, load_gate
from tests.jobs import job_spec
from tests.unit.apps.spark_jobs.frames import frame, scene

Image = npt.NDArray[np.uint8]
EMPTY = scene()


class Model:
    """Finds one thing in every frame, named by the frame's sequence, and notes which frames it looked at."""

    def __init__(self) -> None:
        self.looked: list[int] = []
        self.error: Exception | None = None

    def __call__(self, seen: Frame) -> tuple[Detection, ...]:
        self.looked.append(seen.sequence)
        if self.error is not None:
            raise self.error
        return (Detection(label=f"thing of {seen.sequence}", score=0.5, box=(1.0, 2.0, 3.0, 4.0)),)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def gate() -> Gate:
    return Gate(seconds=5)


def person_at(x: int, height: int = 40) -> Image:
    """The scene with a bright person, `height` pixels high, at column `x`."""
    image = EMPTY.copy()
    cv2.ellipse(image, (x, 200), (height // 5, height // 2), 0, 0, 360, (225, 230, 235), -1)
    return image


def noisy(image: Image, seed: int, level: float = 3.0) -> Image:
    noise = np.random.default_rng(seed).normal(0, level, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def looks(gate: Gate, model: Model, *frames: Frame) -> list[int | None]:
    """For each frame, None if the model looked at it, else the sequence of the frame whose detections it carries."""
    answers = []
    for one in frames:
        detections, skipped = gate.detect(one, model)
        source = one.sequence if skipped is None else skipped.carried_from
        assert [found.label for found in detections] == [f"thing of {source}"]
        answers.append(None if skipped is None else skipped.carried_from)
    return answers


def test_a_still_frame_carries_the_detections_of_the_frame_looked_at_and_says_so(gate: Gate, model: Model) -> None:
    looked, _ = gate.detect(frame(EMPTY, 7), model)
    assert gate.detect(frame(EMPTY, 8), model) == (looked, Skipped(reason=STILL, carried_from=7))
    assert model.looked == [7]


def test_a_person_that_moves_by_a_third_of_its_width_is_looked_at(gate: Gate, model: Model) -> None:
    for height in (24, 40, 120):
        gate.detect(frame(person_at(300, height), 1, camera=f"of-{height}"), model)
        moved = frame(person_at(300 + round(height / 2.5 / 3), height), 2, camera=f"of-{height}")
        assert looks(gate, model, moved) == [None], height


def test_who_comes_and_who_goes_is_looked_at(gate: Gate, model: Model) -> None:
    assert looks(
        gate,
        model,
        frame(EMPTY, 1, seconds=0),
        frame(person_at(300, 24), 2, seconds=0.2),
        frame(person_at(300, 24), 3, seconds=0.4),
        frame(EMPTY, 4, seconds=0.6),
    ) == [None, None, 2, None]


def test_the_camera_s_noise_is_no_motion(gate: Gate, model: Model) -> None:
    frames = [frame(noisy(EMPTY, sequence), sequence, seconds=sequence / 10) for sequence in range(1, 9)]
    assert looks(gate, model, *frames) == [None, *[1] * 7]


def test_a_change_of_the_light_is_looked_at(gate: Gate, model: Model) -> None:
    lighter = np.clip(EMPTY.astype(np.int16) + 5, 0, 255).astype(np.uint8)
    assert looks(gate, model, frame(EMPTY, 1), frame(lighter, 2)) == [None, None]


def test_slow_changes_add_up_until_they_are_looked_at(gate: Gate, model: Model) -> None:
    frames = [frame(EMPTY + np.uint8(step), step, seconds=step / 10) for step in range(12)]
    answers = looks(gate, model, *frames)
    carried = [one.sequence - source for one, source in zip(frames, answers, strict=True) if source is not None]
    assert answers.count(None) >= 3
    assert carried and max(carried) <= 3


def test_after_the_clock_was_set_back_still_frames_are_carried_again_at_once(gate: Gate, model: Model) -> None:
    run, back = 1000 << SEQUENCE_SHIFT, 990 << SEQUENCE_SHIFT
    assert looks(
        gate,
        model,
        frame(EMPTY, run, seconds=7200),
        frame(EMPTY, run + 1, seconds=1),
        frame(EMPTY, run + 2, seconds=2),
        frame(EMPTY, back, seconds=-8),
        frame(EMPTY, back + 1, seconds=-7),
    ) == [None, None, run + 1, None, back]


def test_a_frame_is_looked_at_when_the_time_is_over(gate: Gate, model: Model) -> None:
    frames = [frame(EMPTY, sequence) for sequence in range(1, 13)]
    assert looks(gate, model, *frames) == [None, 1, 1, 1, 1, None, 6, 6, 6, 6, None, 11]


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"sequence": 6}, id="a lower sequence"),
        pytest.param({"sequence": 7}, id="the same frame again"),
        pytest.param({"captured_at": timedelta(seconds=-1)}, id="an earlier time"),
        pytest.param({"captured_at": timedelta(seconds=5)}, id="too late"),
        pytest.param({"camera": "other"}, id="another camera"),
    ],
)
def test_only_a_later_frame_of_the_camera_carries(gate: Gate, model: Model, later: dict[str, object]) -> None:
    first = frame(EMPTY, 7)
    gate.detect(first, model)
    changes = {"sequence": 8, **later}
    if isinstance(moved := changes.get("captured_at"), timedelta):
        changes["captured_at"] = first.captured_at + moved
    assert looks(gate, model, replace(first, **changes)) == [None]  # type: ignore[arg-type]


def test_a_batch_that_is_run_again_does_not_move_the_reference_back(gate: Gate, model: Model) -> None:
    frames = [frame(EMPTY, sequence) for sequence in (5, 3, 4, 6)]
    assert looks(gate, model, *frames) == [None, None, None, 5]


def test_another_size_is_looked_at(gate: Gate, model: Model) -> None:
    wide, narrow = scene(size=(640, 360)), scene(size=(320, 180))
    frames = [frame(wide, 1), frame(narrow, 2), frame(narrow, 3), frame(wide, 4)]
    assert looks(gate, model, *frames) == [None, None, 2, None]


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3840, 1), (7, 5)])
def test_a_picture_of_any_size_is_compared(gate: Gate, model: Model, size: tuple[int, int]) -> None:
    dark, bright = (np.full((size[1], size[0], 3), level, np.uint8) for level in (40, 200))
    assert looks(gate, model, frame(dark, 1), frame(dark, 2), frame(bright, 3)) == [None, 1, None]


def test_a_reference_has_an_age_whatever_the_camera_s_clock_says(model: Model) -> None:
    clock = Clock()
    gate = Gate(seconds=3600, clock=clock)
    assert looks(gate, model, frame(EMPTY, 1, seconds=0)) == [None]
    clock.now = MAX_AGE_SECONDS
    assert looks(gate, model, frame(EMPTY, 2, seconds=0)) == [1]
    clock.now = MAX_AGE_SECONDS + 1
    assert looks(gate, model, frame(EMPTY, 3, seconds=0), frame(EMPTY, 4, seconds=0)) == [None, 3]


def test_sequences_that_begin_lower_are_gated_again_once_the_reference_is_old(model: Model) -> None:
    clock = Clock()
    gate = Gate(seconds=5, clock=clock)
    assert looks(gate, model, frame(EMPTY, 100), frame(EMPTY, 10), frame(EMPTY, 11)) == [None, None, None]
    clock.now = MAX_AGE_SECONDS + 1
    assert looks(gate, model, frame(EMPTY, 12), frame(EMPTY, 13)) == [None, 12]


def test_an_error_of_the_model_leaves_no_reference(gate: Gate, model: Model) -> None:
    gate.detect(frame(EMPTY, 1), model)
    model.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        gate.detect(frame(person_at(300), 2), model)
    model.error = None
    assert looks(gate, model, frame(EMPTY, 3)) == [None], "frame 1 shows the same, but frame 2 came between"


def test_a_frame_that_does_not_decode_is_refused_without_a_look(gate: Gate, model: Model) -> None:
    with pytest.raises(FrameError):
        gate.detect(replace(frame(EMPTY, 1), jpeg=b"junk"), model)
    assert model.looked == []


def test_a_worker_keeps_references_of_a_limited_number_of_cameras(model: Model) -> None:
    gate = Gate(seconds=5, max_cameras=2)
    names = ("a", "b", "c", "a", "c")
    frames = [frame(EMPTY, sequence, camera=name, seconds=0) for sequence, name in enumerate(names)]
    assert looks(gate, model, *frames) == [None, None, None, None, 2]


def test_an_ungated_camera_is_always_looked_at(model: Model) -> None:
    gate = Gate(seconds=5, ungated_cameras=("door",))
    frames = [frame(EMPTY, sequence, camera="door") for sequence in (1, 2, 3)]
    assert looks(gate, model, *frames) == [None, None, None]
    assert looks(gate, model, frame(EMPTY, 1, camera="yard"), frame(EMPTY, 2, camera="yard")) == [None, 1]


def test_a_process_without_references_looks(model: Model) -> None:
    assert looks(Gate(seconds=5), model, frame(EMPTY, 1)) == [None]
    assert looks(Gate(seconds=5), model, frame(EMPTY, 2)) == [None], "a process beside knows nothing of the first"


def test_a_process_has_one_gate_per_job_and_none_where_it_is_off() -> None:
    gated = job_spec(gate_seconds=5.0)
    assert load_gate(gated) is load_gate(job_spec(gate_seconds=5.0))
    assert load_gate(gated) is not load_gate(job_spec(gate_seconds=6.0))
    assert load_gate(job_spec()) is None
