"""Labels are many, inside their pictures, and move like people and vehicles."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.labels import LABELS, Box, Run, runs

FARTHEST_STEP = 35
"""The most pixels that a thing moves between two frames. An edge hidden by another thing may move farther."""

each_run = pytest.mark.parametrize("run", runs(), ids=lambda run: run.name)


def test_there_are_enough_frames_of_enough_scenes() -> None:
    assert sum(run.count for run in runs()) >= 160
    assert len(runs()) >= 10
    assert len({run.name for run in runs()}) == len(runs())
    assert len({(run.footage, run.first) for run in runs()}) == len(runs())
    assert sum(run.crop is not None for run in runs()) >= 3
    assert len({run.footage for run in runs()}) >= 2


@each_run
def test_a_crop_is_inside_the_picture_and_of_even_size(run: Run) -> None:
    if run.crop is None:
        assert run.size == run.picture
        return
    left, top, width, height = run.crop
    assert run.size == (width, height)
    assert left >= 0 and top >= 0 and left + width <= run.picture[0] and top + height <= run.picture[1]
    assert all(value % 2 == 0 for value in run.crop)


@each_run
def test_every_frame_has_truth_inside_the_picture(run: Run) -> None:
    width, height = run.size
    for frame in run.frames:
        truth = run.truth(frame)
        assert any(counts for _, _, counts in truth), frame
        for label, (left, top, right, bottom), _ in truth:
            assert label in LABELS
            assert 0 <= left < right <= width, (frame, label)
            assert 0 <= top < bottom <= height, (frame, label)


@each_run
def test_what_counts_is_large_enough_to_see(run: Run) -> None:
    for frame in run.frames:
        assert all(box[3] - box[1] >= 20 for _, box, counts in run.truth(frame) if counts), frame


@each_run
def test_a_track_is_one_thing_that_moves_on(run: Run) -> None:
    tracks: dict[int, dict[int, Box]] = defaultdict(dict)
    labels: dict[int, set[str]] = defaultdict(set)
    for thing in run.objects:
        assert not tracks[thing.track].keys() & thing.boxes.keys(), "a thing is in one place at a time"
        tracks[thing.track].update(thing.boxes)
        labels[thing.track].add(thing.label)
    assert all(len(names) == 1 for names in labels.values())
    for track, boxes in tracks.items():
        assert set(boxes) <= set(run.frames)
        for before, after in pairwise(sorted(boxes)):
            assert after == before + 1, (track, before)
            assert _step(boxes[before], boxes[after]) <= FARTHEST_STEP, (track, before)


def _step(before: Box, after: Box) -> float:
    moved = [abs(a - b) for a, b in zip(before, after, strict=True)]
    return max(min(moved[0], moved[2]), min(moved[1], moved[3]))


def test_truth_is_in_pixels_of_what_is_sent() -> None:
    run = next(run for run in runs() if run.crop is not None)
    whole = replace(run, crop=None)
    left, top = run.crop[:2] if run.crop else (0, 0)
    for (_, sent, _), (_, source, _) in zip(run.truth(run.first), whole.truth(run.first), strict=True):
        assert source == (sent[0] + left, sent[1] + top, sent[2] + left, sent[3] + top)


def test_a_frame_of_another_run_is_refused() -> None:
    run = runs()[0]
    with pytest.raises(KeyError, match=str(run.first - 1)):
        run.truth(run.first - 1)
