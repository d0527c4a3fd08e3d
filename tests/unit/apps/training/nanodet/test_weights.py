"""The shipped weights: their metadata are readable by the job, and they are those that the command makes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from apps.training.nanodet.convert import LABELS
from apps.training.nanodet.metadata import SIZES, describe
from apps.weights import read_weights

FOLDER = Path("apps/spark_jobs/weights/nanodet")


def test_the_description_is_the_commands_own() -> None:
    said = json.loads((FOLDER / "metadata.yaml").read_text())
    assert said == describe(said["versions"], said["sha256"])
    for name, sha256 in said["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == sha256


def test_a_job_reads_them() -> None:
    weights = read_weights(FOLDER)
    assert (weights.height, weights.width) == SIZES["fast"]
    assert weights.names == LABELS
    assert weights.quantized


@pytest.mark.parametrize("precision", ["model.xml", "int8/model.xml"])
def test_one_file_serves_every_size(precision: str) -> None:
    for height, width in (*SIZES.values(), (32, 64)):
        model = ov.Core().read_model(FOLDER / precision)
        model.reshape([1, 3, height, width])
        compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})
        output = compiled(np.full((1, 3, height, width), 0.45, np.float32))[0]
        cells = sum(height * width // stride**2 for stride in (8, 16, 32))
        assert output.shape == (1, 4 + len(LABELS), cells)
        assert np.isfinite(output).all()
        assert output[0, 4:].max() < 0.2  # A grey picture has nothing to detect.
