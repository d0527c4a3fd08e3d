"""Validates what a user's `detect` returned, so that every later stage can use it."""

import math
import reprlib
from collections.abc import Iterable
from typing import Any

from apps.messages import Detection
from apps.model_api.frame import Frame


class WrongAnswerError(ValueError):
    """`detect` did not return valid detections; the message says what is wrong."""


def documents(answer: object, frame: Frame) -> list[dict[str, Any]]:
    """The detections as JSON, clipped to the frame. Raises WrongAnswerError.

    If the answer is a generator, its own exceptions pass through.
    """
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise WrongAnswerError(f"detect gave {_kind(answer)}, not an iterable of Detection")
    return [_checked(one, frame, f"detection {number}").document for number, one in enumerate(answer)]


def _checked(one: object, frame: Frame, what: str) -> Detection:
    if not isinstance(one, Detection):
        raise WrongAnswerError(f"{what} is {_kind(one)}, not a Detection")
    if not isinstance(one.label, str) or not one.label:
        raise WrongAnswerError(f"{what} has the label {reprlib.repr(one.label)}, which is no text")
    what = f"{what} ({one.label!r})"
    score = _number(one.score, f"the score of {what}")
    if not 0 <= score <= 1:
        raise WrongAnswerError(f"the score of {what} is {score:g}, not in 0..1")
    return Detection(
        label=str(one.label),
        score=score,
        box=_box(one.box, frame, what),
        polygon=_points(one.polygon, 2, frame, f"the polygon of {what}"),
        keypoints=_points(one.keypoints, 3, frame, f"the keypoints of {what}"),
        angle=None if one.angle is None else _number(one.angle, f"the angle of {what}"),
    )


def _box(edges: object, frame: Frame, what: str) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = _numbers(edges, 4, f"the box of {what}")
    if x1 > x2 or y1 > y2:
        raise WrongAnswerError(f"the box of {what} is {(x1, y1, x2, y2)}, not x1, y1, x2, y2 with x1 <= x2, y1 <= y2")
    if x1 > frame.width or y1 > frame.height or x2 < 0 or y2 < 0:
        raise WrongAnswerError(
            f"the box of {what} is {(x1, y1, x2, y2)}, outside the frame of {frame.width}x{frame.height}"
        )
    return _cut(x1, frame.width), _cut(y1, frame.height), _cut(x2, frame.width), _cut(y2, frame.height)


def _points(points: object, count: int, frame: Frame, what: str) -> tuple[Any, ...]:
    if not isinstance(points, Iterable):
        raise WrongAnswerError(f"{what}: {_kind(points)} is given, not points of {count} numbers")
    given = [_numbers(point, count, what) for point in points]
    return tuple((_cut(x, frame.width), _cut(y, frame.height), *rest) for x, y, *rest in given)


def _numbers(values: object, count: int, what: str) -> list[float]:
    given = list(values) if isinstance(values, Iterable) else []
    if len(given) != count:
        raise WrongAnswerError(f"{what}: {reprlib.repr(values)} is given, not {count} numbers")
    return [_number(value, what) for value in given]


def _number(value: Any, what: str) -> float:
    """Convert to float, also from NumPy's and PyTorch's types, which JSON does not support."""
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise WrongAnswerError(f"{what} holds {reprlib.repr(value)}, which is no finite number")
    return number


def _cut(value: float, most: int) -> float:
    return min(max(value, 0.0), float(most))


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
