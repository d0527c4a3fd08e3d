"""Converts a network's output to detections in the frame; the tests' graphs give the same output for any picture."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from apps.messages import Detection
from apps.spark_jobs.models import AnswerError, load_model
from apps.weights import Contract, WeightsError
from tests.unit.apps.spark_jobs.frames import frame
from tests.unit.apps.spark_jobs.models.specs import spec
from tests.unit.apps.weights.graphs import ULTRALYTICS, anchors, folder, graph, rows

# The frame is 640x360 and the input 96x64, so it is fitted to 96x54 with 5 rows of grey above and below.
MIDDLE = (48, 32, 24, 27)
MIDDLE_IN_FRAME = (240, 90, 400, 270)


def detections(
    tmp_path: Path, answers: list[np.ndarray], said: dict[str, Any], **changes: Any
) -> tuple[Detection, ...]:
    weights = folder(tmp_path / "weights", graph(answers), {**ULTRALYTICS, **said})
    return load_model(spec(weights, **changes)).detect(frame(np.full((360, 640, 3), 90, np.uint8), 1))


def test_a_box_comes_back_in_the_frames_pixels(tmp_path: Path) -> None:
    (found,) = detections(tmp_path, [anchors((*MIDDLE, 0.9, 0.1))], {})
    assert (found.label, found.score) == ("person", pytest.approx(0.9))
    assert found.box == pytest.approx(MIDDLE_IN_FRAME, abs=0.01)


def test_labels_and_thresholds_are_the_stacks(tmp_path: Path) -> None:
    answer = anchors((10, 32, 4, 4, 0.5, 0.1), (80, 32, 4, 4, 0.1, 0.5))
    both = detections(tmp_path, [answer], {})
    assert [found.label for found in both] == ["person", "car"]
    assert [found.label for found in detections(tmp_path, [answer], {}, labels=("car",))] == ["car"]
    strict = detections(tmp_path, [answer], {}, score_thresholds=(("person", 0.6),))
    assert [found.label for found in strict] == ["car"]
    lax = detections(tmp_path, [answer], {}, score_threshold=0.6, score_thresholds=(("person", 0.4),))
    assert [found.label for found in lax] == ["person"]


def test_a_version_says_weights_size_and_precision(tmp_path: Path) -> None:
    weights = folder(tmp_path, graph([anchors((*MIDDLE, 0.9, 0.1))]))
    content, size, precision = load_model(spec(weights)).version.split("-")
    assert (len(content), size, precision) == (12, "96x64", "fp32")


def test_a_classifier_names_the_whole_frame(tmp_path: Path) -> None:
    found = detections(tmp_path, [np.array([0.3, 0.7], np.float32)], {"task": "classify"}, score_threshold=0.2)
    assert [(each.label, each.box) for each in found] == [("car", (0, 0, 640, 360)), ("person", (0, 0, 640, 360))]


def test_keypoints_come_back_in_the_frames_pixels(tmp_path: Path) -> None:
    answer = anchors((*MIDDLE, 0.9, 0.1, 48, 32, 0.8, 36, 18.5, 0.3))
    (found,) = detections(tmp_path, [answer], {"task": "pose", "kpt_shape": [2, 3]})
    assert found.keypoints[0] == pytest.approx((320, 180, 0.8), abs=0.01)
    assert found.keypoints[1] == pytest.approx((240, 90, 0.3), abs=0.01)


def test_a_turned_box_has_its_corners_and_its_angle(tmp_path: Path) -> None:
    answer = rows((48, 32, 24, 6, 0.9, 0, math.pi / 2))
    (found,) = detections(tmp_path, [answer], {"task": "obb", "end2end": True})
    assert found.angle == pytest.approx(math.pi / 2)
    assert found.box == pytest.approx((300, 100, 340, 260), abs=0.5)
    assert {(round(x), round(y)) for x, y in found.polygon} == {(300, 100), (340, 100), (340, 260), (300, 260)}


def test_a_mask_becomes_an_outline_inside_its_box(tmp_path: Path) -> None:
    prototypes = np.full((1, 16, 24), -1.0, np.float32)
    prototypes[0, 6:10, 9:15] = 1.0
    answer = anchors((*MIDDLE, 0.9, 0.1, 1.0))
    (found,) = detections(tmp_path, [answer, prototypes], {"task": "segment"})
    outline = np.array(found.polygon, np.float32)
    assert outline.min(axis=0) == pytest.approx((240, 127), abs=8)
    assert outline.max(axis=0) == pytest.approx((393, 227), abs=8)
    empty = [answer, np.full((1, 16, 24), -1.0, np.float32)]
    assert detections(tmp_path / "empty", empty, {"task": "segment"}) == ()


def test_an_answer_that_is_no_number_sets_the_frame_aside(tmp_path: Path) -> None:
    with pytest.raises(AnswerError, match="no finite number"):
        detections(tmp_path, [rows((math.nan, 2, 3, 4, 0.9, 0))], {"end2end": True})


@pytest.mark.parametrize("number", [-1, 2])
def test_a_class_that_has_no_name_sets_the_frame_aside(tmp_path: Path, number: int) -> None:
    with pytest.raises(AnswerError, match=f"class {number}"):
        detections(tmp_path, [rows((1, 2, 3, 4, 0.9, number))], {"end2end": True})


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (1, 3, 8, 8)), ("NHWC", (1, 8, 8, 3))])
def test_colours_reach_the_network_in_the_order_and_scale_of_its_contract(
    tmp_path: Path, dtype: type, layout: str, shape: tuple[int, ...]
) -> None:
    """The graph's output is the mean of each channel, as three classes."""
    image = op.parameter(list(shape), dtype, name="image")
    places = np.array([2, 3] if layout == "NCHW" else [1, 2], np.int64)
    seen = op.reduce_mean(op.convert(image, "f32"), op.constant(places), keep_dims=False)
    seen.output(0).set_names({"output0"})
    place = folder(tmp_path, ov.Model([op.result(seen)], [image], "mean"), None)
    scale = (1.0,) if dtype is np.uint8 else (200.0, 100.0, 400.0)
    contract = Contract(
        task="classify", names=("b", "g", "r"), layout=layout, colour="BGR", scale=scale, fit="crop", output="classes"
    )
    model = load_model(spec(place, contract=contract, score_threshold=0.0))
    picture = np.empty((8, 8, 3), np.uint8)
    picture[:] = (40, 80, 120)
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    scores = {found.label: found.score for found in model.detect(replace(frame(picture), jpeg=jpeg))}
    if dtype is np.uint8:
        assert scores == {"b": 1.0, "g": 1.0, "r": 1.0}
    else:
        assert scores == pytest.approx({"b": 0.2, "g": 0.8, "r": 0.3}, abs=0.03)


@pytest.mark.parametrize("device", ["TPU", "NPU"])
def test_a_device_that_is_not_here_is_refused(tmp_path: Path, device: str) -> None:
    weights = folder(tmp_path, graph([anchors((*MIDDLE, 0.9, 0.1))]))
    with pytest.raises(WeightsError, match=f"device: .*{device}"):
        load_model(spec(weights, device=device))
