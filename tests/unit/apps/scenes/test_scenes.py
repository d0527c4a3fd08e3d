import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from apps.scenes import LABELS, render, truth
from apps.scenes.light import DAY_LENGTH, light_at
from apps.scenes.truth import MIN_VISIBLE, all_actors

START = 1_795_472_096 << 20
CAMERAS = [f"cam-{number:02d}" for number in range(1, 13)]


def digest(camera: str, sequence: int) -> str:
    return sha256(render(camera, sequence).tobytes() + repr(truth(camera, sequence)).encode()).hexdigest()


def test_another_process_renders_the_same_frame() -> None:
    code = f"from tests.unit.apps.scenes.test_scenes import digest; print(digest('cam-01', {START}))"
    repository = Path(__file__).parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest("cam-01", START)


def test_the_order_of_rendering_does_not_matter() -> None:
    forwards = [digest("cam-02", START + step) for step in range(3)]
    backwards = [digest("cam-02", START + step) for step in reversed(range(3))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 3


@pytest.mark.parametrize("camera", CAMERAS[:6])
def test_a_box_is_as_tight_as_the_pixels_that_its_object_changes(camera: str) -> None:
    for sequence in range(START, START + 200, 40):
        whole = render(camera, sequence).astype(int)
        for found in truth(camera, sequence):
            if found.visible < 0.999:
                continue
            changed = np.abs(whole - render(camera, sequence, without=found.index)).max(axis=2) > 2
            x1, y1, x2, y2 = (round(edge) for edge in found.box)
            inside = changed[y1:y2, x1:x2]
            # Each edge of the box touches the object. Shadows are only on the ground, headlights only in front.
            assert inside[:3].any() and inside[:, :3].any() and inside[-3:].any() and inside[:, -3:].any()
            above = changed[: max(0, y1 - 2), x1:x2]
            assert not above.any(), (camera, sequence, found)


def test_boxes_scale_with_the_frame() -> None:
    for small, large in zip(truth("cam-04", START), truth("cam-04", START, 1280, 720), strict=True):
        assert large.box == tuple(2 * edge for edge in small.box)
        assert large.label == small.label


def test_what_is_mostly_hidden_or_outside_does_not_count() -> None:
    seen = [found for camera in CAMERAS for found in all_actors(camera, START)]
    counted = [found for camera in CAMERAS for found in truth(camera, START)]
    assert any(found.visible < MIN_VISIBLE for found in seen)
    assert all(found.visible >= MIN_VISIBLE for found in counted)
    for x1, y1, x2, y2 in (found.box for found in counted):
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 360


def test_every_label_appears_and_scenes_differ() -> None:
    labels = Counter(
        found.label for camera in CAMERAS for step in range(0, 400, 50) for found in truth(camera, START + step)
    )
    assert set(labels) == set(LABELS)
    assert len({render(camera, START).tobytes() for camera in CAMERAS}) == len(CAMERAS)


def test_objects_move_smoothly_and_visibly() -> None:
    steps = []
    for camera in CAMERAS:
        before, after = all_actors(camera, START), all_actors(camera, START + 1)
        for found in before:
            whole = [
                other for other in after if other.label == found.label and min(other.visible, found.visible) > 0.999
            ]
            centres = [abs(other.box[0] + other.box[2] - found.box[0] - found.box[2]) / 2 for other in whole]
            if centres:
                steps.append(min(centres))
    assert 4 < np.median(steps) < 25


def test_night_is_darker_than_day() -> None:
    lights = [(light_at("cam-01", START + step).night, step) for step in range(DAY_LENGTH)]
    noon, midnight = min(lights), max(lights)
    assert (noon[0], midnight[0]) == (0.0, 1.0)
    assert render("cam-01", START + midnight[1]).mean() < 0.75 * render("cam-01", START + noon[1]).mean()


@pytest.mark.parametrize(("width", "height"), [(320, 180), (640, 360), (1280, 720), (641, 361)])
def test_any_size_can_be_rendered(width: int, height: int) -> None:
    image = render("cam-03", START, width, height)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
