"""Which weights are accepted by metadata and graph, and which are refused with which reason."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.weights import Contract, WeightsError, read_weights
from tests.unit.apps.weights.graphs import ULTRALYTICS, anchors, folder, graph, rows

BOX = (48, 32, 20, 10)
TWO_CLASSES = anchors((*BOX, 0.9, 0.1), (*BOX, 0.2, 0.1), (*BOX, 0.2, 0.1))
WHOLE = Contract(
    task="detect",
    names=("person", "car"),
    layout="NCHW",
    colour="BGR",
    scale=(57.4, 57.1, 58.4),
    fit="stretch",
    output="anchors",
)


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**ULTRALYTICS, **changes}.items() if value is not ...}


def test_an_ultralytics_export_says_everything(tmp_path: Path) -> None:
    read = read_weights(folder(tmp_path, graph([TWO_CLASSES])))
    assert (read.task, read.names, read.output) == ("detect", ("person", "car"), "anchors")
    assert (read.width, read.height, read.layout, read.colour, read.fit) == (96, 64, "NCHW", "RGB", "letterbox")
    assert (read.mean, read.scale, read.quantized) == ((0.0,), (255.0,), False)


def test_the_content_follows_the_weights(tmp_path: Path) -> None:
    one = read_weights(folder(tmp_path / "one", graph([TWO_CLASSES])))
    same = read_weights(Path(shutil.copytree(tmp_path / "one", tmp_path / "same")))
    other = read_weights(folder(tmp_path / "other", graph([TWO_CLASSES * 2])))
    assert one.content == same.content != other.content


@pytest.mark.parametrize(
    ("said", "answer", "output"),
    [
        ({}, TWO_CLASSES, "anchors"),
        ({"end2end": False}, TWO_CLASSES, "anchors"),
        ({"end2end": True}, rows((1, 2, 3, 4, 0.5, 1)), "end2end"),
        ({"end2end": False, "args": {"nms": True}}, rows((1, 2, 3, 4, 0.5, 1)), "end2end"),
        ({"head": "RTDETRDecoder"}, rows((0.5, 0.5, 0.1, 0.1, 0.5, 1)), "rtdetr"),
    ],
)
def test_the_layout_of_the_answer_is_what_the_metadata_say(
    tmp_path: Path, said: dict[str, Any], answer: np.ndarray, output: str
) -> None:
    assert read_weights(folder(tmp_path, graph([answer]), changed(**said))).output == output


def test_names_may_be_numbered_by_text_and_in_any_alphabet(tmp_path: Path) -> None:
    names = {str(number): f"пешеход {number}" for number in range(11)}
    answer = anchors((*BOX, *[0.1] * 11))
    assert read_weights(folder(tmp_path, graph([answer]), changed(names=names))).names[10] == "пешеход 10"


def test_a_grey_network_is_told_by_its_metadata(tmp_path: Path) -> None:
    read = read_weights(folder(tmp_path, graph([TWO_CLASSES], (1, 1, 64, 96)), changed(channels=1)))
    assert (read.colour, read.shape) == ("GREY", [1, 1, 64, 96])


def test_a_dynamic_network_takes_the_size_that_is_asked_for(tmp_path: Path) -> None:
    place = folder(tmp_path, graph([TWO_CLASSES], (-1, 3, -1, -1)), changed(sizes={"sharp": [128, 160]}))
    assert read_weights(place).shape == [1, 3, 64, 96]
    assert read_weights(place, size="sharp").shape == [1, 3, 128, 160]
    assert read_weights(place, size="320x192").shape == [1, 3, 192, 320]


@pytest.mark.parametrize(
    ("frame", "size", "shape"),
    [
        ((640, 360), None, (320, 192)),
        ((640, 480), None, (288, 224)),
        ((640, 272), None, (384, 160)),
        ((480, 640), None, (224, 288)),
        ((640, 480), "sharp", (384, 288)),
        ((640, 480), "320x192", (320, 192)),
    ],
)
def test_a_network_of_any_size_looks_at_a_picture_of_the_frames_shape(
    tmp_path: Path, frame: tuple[int, int], size: str | None, shape: tuple[int, int]
) -> None:
    said = changed(imgsz=[192, 320], sizes={"sharp": [256, 416]})
    read = read_weights(folder(tmp_path, graph([TWO_CLASSES], (-1, 3, -1, -1)), said), size=size).fitted(frame)
    assert (read.width, read.height) == shape


def test_a_network_of_one_size_looks_at_that(tmp_path: Path) -> None:
    read = read_weights(folder(tmp_path, graph([TWO_CLASSES])))
    assert read.fitted((640, 480)) == read


@pytest.mark.parametrize(
    ("shape", "size", "reason"),
    [
        ((1, 3, 64, 96), "320x192", "takes 96x64 and nothing else"),
        ((1, 3, -1, -1), "fast", r"has no size 'fast' \(its named sizes: none\)"),
        ((1, 3, -1, -1), "100x96", "takes multiples of 32"),
    ],
)
def test_a_size_that_the_network_does_not_take_is_refused(
    tmp_path: Path, shape: tuple[int, ...], size: str, reason: str
) -> None:
    with pytest.raises(WeightsError, match=reason):
        read_weights(folder(tmp_path, graph([TWO_CLASSES], shape)), size=size)


def test_a_batch_that_can_change_becomes_one(tmp_path: Path) -> None:
    assert read_weights(folder(tmp_path, graph([TWO_CLASSES], (4, 3, 64, 96)))).shape == [1, 3, 64, 96]


def test_a_batch_that_cannot_change_is_refused(tmp_path: Path) -> None:
    fixed = graph([TWO_CLASSES], (4, 3, 64, 96))
    fixed.reshape([4, 3, 64, 96])
    from openvino import Model
    from openvino import opset13 as op

    shaped = op.reshape(
        fixed.outputs[0].get_node().input_value(0), op.constant(np.array([4, 6, 3], np.int64)), special_zero=False
    )
    with pytest.raises(WeightsError, match="batch=1"):
        read_weights(folder(tmp_path, Model([op.result(shaped)], fixed.get_parameters(), "fixed")))


def test_a_network_of_another_family_runs_by_its_contract(tmp_path: Path) -> None:
    place = folder(tmp_path, graph([TWO_CLASSES], (1, 3, 64, 96)), None)
    read = read_weights(place, WHOLE)
    assert (read.colour, read.scale, read.fit, read.mean) == ("BGR", (57.4, 57.1, 58.4), "stretch", (0.0,))


@pytest.mark.parametrize("absent", ["task", "names", "layout", "colour", "scale", "fit", "output"])
def test_what_nobody_says_is_asked_for(tmp_path: Path, absent: str) -> None:
    place = folder(tmp_path, graph([TWO_CLASSES]), None)
    stated = {key: value for key, value in WHOLE.stated().items() if key != absent}
    with pytest.raises(WeightsError, match=f"does not say {absent} in its metadata: say it in contract"):
        read_weights(place, Contract(**stated))


def test_a_contract_that_contradicts_the_metadata_is_refused(tmp_path: Path) -> None:
    place = folder(tmp_path, graph([TWO_CLASSES]))
    with pytest.raises(WeightsError, match=r"says colour 'RGB' in its metadata, and contract.colour says 'BGR'"):
        read_weights(place, Contract(colour="BGR"))


def test_the_stack_may_say_the_output_of_an_export_too_old_to_say_it(tmp_path: Path) -> None:
    place = folder(tmp_path, graph([rows(*[(1, 2, 3, 4, 0.5, 1)] * 7)]))
    with pytest.raises(WeightsError, match=r"answers \[\[1, 7, 6\]\].*contract.output"):
        read_weights(place)
    assert read_weights(place, Contract(output="end2end")).output == "end2end"


@pytest.mark.parametrize("task", ["depth", "semantic", None])
def test_a_task_that_nothing_here_runs_is_refused(tmp_path: Path, task: str | None) -> None:
    with pytest.raises(WeightsError, match=f"is of task {task!r}; a model of kind objects runs detect, segment"):
        read_weights(folder(tmp_path, graph([TWO_CLASSES]), changed(task=task)))


@pytest.mark.parametrize(
    "wrong", [{"imgsz": None}, {"names": None}, {"names": {1: "car"}}, {"imgsz": [1, 2, 3]}, {"imgsz": ...}]
)
def test_malformed_metadata_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="malformed"):
        read_weights(folder(tmp_path, graph([TWO_CLASSES]), changed(**wrong)))


@pytest.mark.parametrize("names", [{0: "person"}, {0: "a", 1: "b", 2: "c"}])
def test_names_that_are_not_the_graphs_are_refused(tmp_path: Path, names: dict[int, str]) -> None:
    with pytest.raises(WeightsError, match=r"answers \[\[1, 6, 3\]\]"):
        read_weights(folder(tmp_path, graph([TWO_CLASSES]), changed(names=names)))


@pytest.mark.parametrize("file", ["model.xml", "model.bin"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, file: str, share: float) -> None:
    place = folder(tmp_path, graph([TWO_CLASSES]))
    whole = (place / file).read_bytes()
    (place / file).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(WeightsError, match=r"damaged|missing or empty"):
        read_weights(place)


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no network, or more than one \(found: none\)"):
        read_weights(tmp_path)


def test_the_variant_in_int8_is_taken_where_it_is_wanted(tmp_path: Path) -> None:
    folder(tmp_path, graph([TWO_CLASSES]))
    folder(tmp_path / "int8", graph([TWO_CLASSES * 2]), None)
    assert read_weights(tmp_path).network == tmp_path / "int8" / "model.xml"
    assert read_weights(tmp_path, precision="bf16").network == tmp_path / "model.xml"


def test_int8_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has no network in int8"):
        read_weights(folder(tmp_path, graph([TWO_CLASSES])), precision="int8")


def test_a_segment_has_prototypes(tmp_path: Path) -> None:
    answer, prototypes = anchors((*BOX, 0.9, 0.1, *[0.5] * 8)), np.zeros((8, 16, 24), np.float32)
    said = changed(task="segment")
    assert read_weights(folder(tmp_path / "whole", graph([answer, prototypes]), said)).coefficients == 8
    with pytest.raises(WeightsError, match="has no output of prototypes"):
        read_weights(folder(tmp_path / "half", graph([answer]), said))


def test_a_pose_says_its_keypoints(tmp_path: Path) -> None:
    answer = anchors((*BOX, 0.9, 0.1, *[0.5] * 15))
    assert read_weights(folder(tmp_path, graph([answer]), changed(task="pose", kpt_shape=[5, 3]))).keypoints == (5, 3)
