"""Argus's own weights: the scenes' weights detect the things in rendered frames, whose truth is exact."""

from itertools import islice

from apps.scenes import LABELS
from components.config.sections import ARGUS_WEIGHTS
from tests.bench.accuracy import detector, rendered_pictures
from tests.scoring import together

FRAMES = 24


def test_the_scenes_weights_find_what_rendered_frames_show() -> None:
    scenes = detector("scenes", ARGUS_WEIGHTS / "scenes")
    for picture in islice(rendered_pictures(), FRAMES):
        scenes.look(picture)
    counts = together(scenes.scores["rendered"].of({label}, scenes.sure) for label in LABELS)
    assert counts.objects > 2 * FRAMES
    assert min(counts.precision, counts.recall) >= 0.9, counts
