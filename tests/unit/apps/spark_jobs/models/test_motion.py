import numpy as np
import pytest

from apps.messages import SEQUENCE_SHIFT
from apps.spark_jobs.models.motion import MotionModel
from tests.unit.apps.spark_jobs.frames import frame, scene

BOX = (200, 100, 280, 220)


def with_object(image, box=BOX):
    drawn = image.copy()
    drawn[box[1] : box[3], box[0] : box[2]] = (20, 20, 230)
    return drawn


@pytest.fixture
def model() -> MotionModel:
    return MotionModel(score_threshold=0.4)


def test_a_cameras_first_frame_has_no_motion(model: MotionModel) -> None:
    assert model.detect(frame(scene())) == ()


def test_what_appears_is_found_where_it_is(model: MotionModel) -> None:
    model.detect(frame(scene(), 1))
    (found,) = model.detect(frame(with_object(scene()), 2))
    assert found.label == "motion"
    assert found.box == pytest.approx(BOX, abs=16)
    assert 0.5 <= found.score < 1


def test_more_change_scores_higher(model: MotionModel) -> None:
    faint = scene()
    faint[100:220, 200:280] = np.clip(faint[100:220, 200:280].astype(int) + 30, 0, 255)
    model.detect(frame(scene(), 1))
    (weak,) = model.detect(frame(faint, 2))
    strong = MotionModel(score_threshold=0.4)
    strong.detect(frame(scene(), 1))
    (found,) = strong.detect(frame(with_object(scene()), 2))
    assert found.score > weak.score


def test_noise_is_no_motion(model: MotionModel) -> None:
    random = np.random.default_rng(3)
    for sequence in range(1, 5):
        noisy = np.clip(scene() + random.normal(0, 12, (360, 640, 3)), 0, 255).astype(np.uint8)
        assert model.detect(frame(noisy, sequence)) == ()


@pytest.mark.parametrize("light", [lambda image: image * 0.6, lambda image: image + 35])
def test_a_change_of_the_light_is_no_motion(model: MotionModel, light) -> None:
    model.detect(frame(scene(), 1))
    assert model.detect(frame(np.clip(light(scene().astype(float)), 0, 255).astype(np.uint8), 2)) == ()


def test_motion_is_found_through_a_change_of_the_light(model: MotionModel) -> None:
    model.detect(frame(scene(), 1))
    darker = (with_object(scene()) * 0.7).astype(np.uint8)
    assert [found.box for found in model.detect(frame(darker, 2))] == [pytest.approx(BOX, abs=16)]


def test_cameras_do_not_mix(model: MotionModel) -> None:
    model.detect(frame(scene(), 1, camera="gate"))
    assert model.detect(frame(with_object(scene()), 2, camera="lobby")) == ()


def test_a_late_frame_is_answered_and_does_not_become_the_latest(model: MotionModel) -> None:
    model.detect(frame(with_object(scene()), 5))
    assert len(model.detect(frame(scene(), 4))) == 1
    assert model.detect(frame(with_object(scene()), 6)) == ()


def test_a_run_of_lower_numbers_after_the_clock_was_set_back_becomes_the_latest(model: MotionModel) -> None:
    run, back = 1000 << SEQUENCE_SHIFT, 990 << SEQUENCE_SHIFT
    model.detect(frame(scene(), run, seconds=20))
    assert len(model.detect(frame(with_object(scene()), back, seconds=10))) == 1
    assert model.detect(frame(with_object(scene()), back + 1, seconds=11)) == ()


def test_after_a_gap_it_begins_anew(model: MotionModel) -> None:
    model.detect(frame(scene(), 1, seconds=0))
    assert model.detect(frame(with_object(scene()), 2, seconds=3600)) == ()
    assert len(model.detect(frame(scene(), 3, seconds=3601))) == 1


def test_a_camera_that_changes_its_size_begins_anew(model: MotionModel) -> None:
    model.detect(frame(scene(), 1))
    assert model.detect(frame(scene(size=(360, 640)), 2)) == ()


def test_only_so_many_cameras_are_kept() -> None:
    model = MotionModel(score_threshold=0.4, max_cameras=2)
    for camera in ("a", "b", "c"):
        model.detect(frame(scene(), 1, camera=camera))
    assert model.detect(frame(with_object(scene()), 2, camera="a")) == ()
    assert len(model.detect(frame(with_object(scene()), 2, camera="c"))) == 1


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 601), (3840, 1), (7, 5)])
def test_frames_of_any_size_are_compared(model: MotionModel, size: tuple[int, int]) -> None:
    dark, bright = (np.full((size[1], size[0], 3), level, np.uint8) for level in (40, 200))
    for sequence, image in enumerate((dark, bright, dark)):
        assert model.detect(frame(image, sequence)) == ()
