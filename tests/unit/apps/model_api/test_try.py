"""The worked example of docs/python-models.md, and the command that runs a model on a picture."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.unit.apps.spark_jobs.frames import encode

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "docs/examples/python-model"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apps.model_api", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120, check=False)


def view(fault: str | None) -> np.ndarray:
    """A camera's picture of a yard with some things in it, with this fault."""
    image = np.full((360, 640, 3), 120, np.uint8)
    for number in range(40):
        corner = (number * 97 % 600, number * 53 % 320)
        cv2.rectangle(image, corner, (corner[0] + 40, corner[1] + 30), (number * 37 % 256,) * 3, -1)
    if fault == "dark":
        return image // 12
    if fault == "covered":
        return cv2.GaussianBlur(image, (0, 0), 120)
    return cv2.GaussianBlur(image, (0, 0), 9) if fault == "blurred" else image


@pytest.mark.parametrize("fault", [None, "dark", "covered", "blurred"])
def test_the_example_says_what_is_wrong_with_a_view(fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "view.jpg").write_bytes(encode(view(fault)))
    done = run(EXAMPLE, tmp_path / "view.jpg")
    assert done.returncode == 0, done.stderr
    head, found, *detections = done.stdout.splitlines()
    assert "python-model: version " in head
    assert f"view.jpg: {len(detections)} found in" in found
    labels = [json.loads(line)["label"] for line in detections]
    assert labels == ([] if fault is None else [fault])
    if fault:
        assert json.loads(detections[0])["box"] == [0.0, 0.0, 640.0, 360.0]


def test_other_pictures_are_read_too_and_what_is_none_is_said(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), view("dark"))
    (tmp_path / "text.jpg").write_text("no picture")
    done = run(EXAMPLE, tmp_path / "text.jpg", tmp_path / "dark.png", tmp_path / "nowhere.jpg")
    assert done.returncode == 1
    assert "text.jpg: this is no picture" in done.stderr
    assert "nowhere.jpg: [Errno 2]" in done.stderr
    assert '"label": "dark"' in done.stdout


def test_code_that_is_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import nowhere_at_all\n")
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("model.py cannot be imported: ModuleNotFoundError")
