import numpy as np
import pytest

from apps.spark_jobs.models.candidates import from_anchors, from_end2end


def anchors(*rows: tuple[float, ...]) -> np.ndarray:
    """The output of a head with two classes: centre x, centre y, width, height, score a, score b."""
    return np.array(rows, np.float32).T


def test_anchors_become_corners_best_first() -> None:
    found = from_anchors(anchors((50, 60, 20, 40, 0.1, 0.5), (200, 100, 10, 10, 0.9, 0.2)), 0.4)
    assert found.boxes.tolist() == [[195, 95, 205, 105], [40, 40, 60, 80]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.5])
    assert found.classes.tolist() == [0, 1]


def test_of_boxes_on_one_object_the_best_stays() -> None:
    found = from_anchors(anchors((50, 50, 20, 20, 0.6, 0), (51, 50, 20, 20, 0.8, 0), (50, 51, 20, 20, 0.7, 0)), 0.4)
    assert found.scores.tolist() == pytest.approx([0.8])


def test_boxes_of_two_classes_do_not_suppress_each_other() -> None:
    assert len(from_anchors(anchors((50, 50, 20, 20, 0.6, 0), (50, 50, 20, 20, 0, 0.8)), 0.4).boxes) == 2


def test_neighbours_both_stay() -> None:
    assert len(from_anchors(anchors((50, 50, 20, 20, 0.6, 0), (65, 50, 20, 20, 0.8, 0)), 0.4).boxes) == 2


def test_nothing_above_the_threshold_is_nothing() -> None:
    found = from_anchors(anchors((50, 50, 20, 20, 0.3, 0.2)), 0.4)
    assert found.boxes.shape == (0, 4)


def test_end2end_rows_are_taken_as_they_are() -> None:
    output = np.array([[1, 2, 3, 4, 0.5, 7], [5, 6, 7, 8, 0.9, 2], [0, 0, 0, 0, 0.1, 1]], np.float32)
    found = from_end2end(output, 0.4)
    assert found.boxes.tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]
    assert found.classes.tolist() == [2, 7]
