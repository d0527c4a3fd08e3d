import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from apps.scenes import LABELS
from apps.training.dataset import FRAMES_PER_CAMERA, render_dataset, write_description
from apps.training.picture import INPUT_HEIGHT, INPUT_WIDTH, letterbox


@pytest.mark.parametrize(("size", "bars"), [((640, 360), (0, 6)), ((480, 360), (32, 0)), ((320, 192), (0, 0))])
def test_a_letterbox_keeps_the_aspect_and_says_how_to_map_back(size: tuple[int, int], bars: tuple[int, int]) -> None:
    width, height = size
    boxed, scale, left, top = letterbox(np.full((height, width, 3), 255, np.uint8))
    assert boxed.shape == (INPUT_HEIGHT, INPUT_WIDTH, 3)
    assert (left, top) == bars
    rows, columns = np.nonzero((boxed == 255).all(axis=2))
    assert (columns.min(), rows.min()) == bars
    assert (columns.max() + 1 - left) / scale == pytest.approx(width, abs=2)
    assert (rows.max() + 1 - top) / scale == pytest.approx(height, abs=2)


def test_a_dataset_is_the_same_every_time_and_in_the_layout_of_ultralytics(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        render_dataset(folder, 2 * FRAMES_PER_CAMERA, seed=3, split="val")
    images = sorted((tmp_path / "one/images/val").iterdir())
    assert len(images) == 2 * FRAMES_PER_CAMERA
    for image in images:
        assert cv2.imread(str(image)).shape == (INPUT_HEIGHT, INPUT_WIDTH, 3)
        assert image.read_bytes() == (tmp_path / "two/images/val" / image.name).read_bytes()
        for line in (tmp_path / "one/labels/val" / f"{image.stem}.txt").read_text().splitlines():
            label, x, y, wide, high = (float(number) for number in line.split())
            assert int(label) in range(len(LABELS))
            assert x - wide / 2 >= -1e-6 and x + wide / 2 <= 1 + 1e-6
            assert y - high / 2 >= 6 / 192 - 1e-6 and y + high / 2 <= 186 / 192 + 1e-6
    description = json.loads(write_description(tmp_path / "one", {"train": "train", "val": "val"}).read_text())
    assert list(description["names"].values()) == list(LABELS)
