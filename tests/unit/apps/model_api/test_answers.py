from datetime import UTC, datetime

import numpy as np
import pytest

from apps.messages import Detection
from apps.model_api import Frame
from apps.model_api.answers import WrongAnswerError, documents

FRAME = Frame(camera="gate", sequence=1, captured_at=datetime.now(UTC), width=640, height=360, jpeg=b"")
GOOD = {"label": "cat", "score": 0.5, "box": (1, 2, 30, 40)}


def of(**changes: object) -> object:
    return Detection(**{**GOOD, **changes})


def test_numbers_of_numpy_are_numbers_and_what_lies_outside_is_cut() -> None:
    box = np.array([-3.5, 10, 700, 20], dtype=np.float32)
    polygon, keypoints = np.array([[0, 0], [9, 9], [0, 400]]), [np.array([1, 2, 0.25], dtype=np.float16)]
    found = of(score=np.float32(0.25), box=box, polygon=polygon, keypoints=keypoints, angle=np.float64(0.5))
    assert documents(iter([found]), FRAME) == [
        {
            "label": "cat",
            "score": 0.25,
            "box": [0.0, 10.0, 640.0, 20.0],
            "polygon": [[0.0, 0.0], [9.0, 9.0], [0.0, 360.0]],
            "keypoints": [[1.0, 2.0, 0.25]],
            "angle": 0.5,
        }
    ]
    assert documents([], FRAME) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "detect gave None, not an iterable"),
        ("cat", "detect gave a str"),
        (of(), "detect gave a Detection, not an iterable"),
        ([of(), {"label": "cat"}], "detection 1 is a dict, not a Detection"),
        ([of(label=7)], "detection 0 has the label 7, which is no text"),
        ([of(label="")], "has the label '', which is no text"),
        ([of(score=1.01)], r"the score of detection 0 \('cat'\) is 1.01, not in 0..1"),
        ([of(score=-0.1)], "is -0.1, not in 0..1"),
        ([of(score=float("nan"))], "the score of .* holds nan, which is no finite number"),
        ([of(score="0.5")], "holds '0.5', which is no finite number"),
        ([of(score=None)], "holds None"),
        ([of(box=(1, 2, 3))], r"the box of .*: \(1, 2, 3\) is given, not 4 numbers"),
        ([of(box=None)], "None is given, not 4 numbers"),
        ([of(box=(1, 2, float("inf"), 4))], "holds inf"),
        ([of(box=(100, 100, 50, 60))], "not x1, y1, x2, y2 with x1 <= x2"),
        ([of(box=(700, 1, 800, 2))], "outside the frame of 640x360"),
        ([of(polygon=[(1, 2, 3)])], r"the polygon of .*: \(1, 2, 3\) is given, not 2 numbers"),
        ([of(polygon=5)], "the polygon of .*: a int is given, not points"),
        ([of(keypoints=[(1, 2)])], r"the keypoints of .*: \(1, 2\) is given, not 3 numbers"),
        ([of(angle="north")], "the angle of .* holds 'north'"),
    ],
)
def test_what_is_no_detection_is_refused_with_the_reason(answer: object, reason: str) -> None:
    with pytest.raises(WrongAnswerError, match=reason):
        documents(answer, FRAME)
