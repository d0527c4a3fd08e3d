from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from apps.spark_jobs.models.heads import Candidates, read_head
from apps.weights import Weights
from tests.unit.apps.weights.graphs import anchors, rows

WEIGHTS = Weights(
    network=Path("/nowhere"),
    content="c0ffee",
    task="detect",
    names=("a", "b"),
    output="anchors",
    width=320,
    height=192,
    layout="NCHW",
    colour="RGB",
    mean=(0.0,),
    scale=(255.0,),
    fit="letterbox",
    quantized=False,
)


def read(answer: np.ndarray, **changes: object) -> Candidates:
    return read_head(answer, replace(WEIGHTS, **changes), 0.4)


def test_anchors_become_corners_best_first() -> None:
    found = read(anchors((50, 60, 20, 40, 0.1, 0.5), (200, 100, 10, 10, 0.9, 0.2)))
    assert found.boxes.tolist() == [[195, 95, 205, 105], [40, 40, 60, 80]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.classes.tolist() == [0, 1]


def test_of_boxes_on_one_object_the_best_stays() -> None:
    found = read(anchors((50, 50, 20, 20, 0.6, 0), (51, 50, 20, 20, 0.8, 0), (50, 51, 20, 20, 0.7, 0)))
    assert found.scores.tolist() == pytest.approx([0.8])


def test_boxes_of_two_classes_do_not_suppress_each_other() -> None:
    assert len(read(anchors((50, 50, 20, 20, 0.6, 0), (50, 50, 20, 20, 0, 0.8))).boxes) == 2


def test_a_car_that_is_also_a_truck_is_one_object() -> None:
    one = anchors((50, 50, 20, 20, 0.6, 0), (51, 50, 20, 20, 0, 0.5))
    assert read(one, names=("car", "truck")).classes.tolist() == [0]
    assert read(one, names=("car", "person")).classes.tolist() == [0, 1]


@pytest.mark.parametrize(("width", "height", "stay"), [(20, 40, 1), (6, 12, 2)])
def test_a_part_of_a_large_object_goes_and_a_small_one_before_it_stays(width: int, height: int, stay: int) -> None:
    found = read(anchors((50, 60, 40, 80, 0.9, 0), (50, 45, width, height, 0.6, 0)))
    assert len(found.boxes) == stay


def test_neighbours_both_stay() -> None:
    assert len(read(anchors((50, 50, 20, 20, 0.6, 0), (65, 50, 20, 20, 0.8, 0))).boxes) == 2


def test_nothing_above_the_threshold_is_nothing() -> None:
    assert read(anchors((50, 50, 20, 20, 0.3, 0.2))).boxes.shape == (0, 4)


def test_what_an_anchor_says_besides_stays_with_it() -> None:
    found = read(anchors((50, 60, 20, 40, 0.1, 0.5, 7, 8), (200, 100, 10, 10, 0.9, 0.2, 1, 2)), task="pose")
    assert found.more.tolist() == [[1, 2], [7, 8]]


def test_an_objectness_weighs_the_classes() -> None:
    found = read(rows((50, 60, 20, 40, 0.9, 0.1, 0.8), (50, 60, 20, 40, 0.1, 0.9, 0.8)), output="objectness")
    assert found.scores.tolist() == pytest.approx([0.72])
    assert found.classes.tolist() == [1]


def test_end2end_rows_are_taken_as_they_are() -> None:
    found = read(rows((1, 2, 3, 4, 0.5, 1), (5, 6, 7, 8, 0.9, 0), (0, 0, 0, 0, 0.1, 1)), output="end2end")
    assert found.boxes.tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]
    assert found.classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("output", "row"), [("rtdetr", (0.5, 0.5, 0.25, 0.5, 0.9, 1)), ("queries", (0.5, 0.5, 0.25, 0.5, 0.2, 0.9))]
)
def test_shares_of_the_picture_become_its_pixels(output: str, row: tuple[float, ...]) -> None:
    found = read(rows(row), output=output)
    assert found.boxes.tolist() == [[120, 48, 200, 144]]
    assert (found.scores.tolist(), found.classes.tolist()) == (pytest.approx([0.9]), [1])


def test_turned_boxes_are_one_object_only_where_they_are_turned_alike() -> None:
    along = (100, 100, 80, 10, 0.9, 0.1, 0.0)
    alike, across = (101, 100, 80, 10, 0.8, 0.1, 0.05), (100, 100, 80, 10, 0.7, 0.1, 1.5)
    found = read(anchors(along, alike, across), task="obb")
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])
    assert found.more[:, 0].tolist() == pytest.approx([0.0, 1.5])
