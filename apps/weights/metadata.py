"""Reads the metadata of weights: Ultralytics' `metadata.yaml`, the same inside an ONNX file, and Argus's own keys."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from apps.weights.contract import Contract, Fit, Output, Task, Thresholds
from apps.weights.files import WeightsError

RTDETR = "RTDETRDecoder"
"""The name of RT-DETR's head in the metadata; its task is `detect`, like YOLO's."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata's contract, and what only metadata can say. Sizes are (width, height) in pixels."""

    contract: Contract = field(default_factory=Contract)
    size: tuple[int, int] | None = None
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Sizes by name, such as `fast` and `sharp`."""
    stride: int = 32
    """The input's sides must be multiples of it."""
    thresholds: Thresholds = field(default_factory=Thresholds)


def from_yaml(path: Path) -> Metadata:
    """Read a `metadata.yaml`. Raises WeightsError."""
    try:
        keys = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as unreadable:
        raise WeightsError(f"{path} cannot be read: {type(unreadable).__name__} {unreadable}") from unreadable
    if not isinstance(keys, dict):
        raise WeightsError(f"{path} is malformed: it holds no keys")
    return parse_keys(keys, str(path))


def from_onnx(properties: Mapping[str, str], place: str) -> Metadata:
    """Read an ONNX file's metadata properties, whose values are Python literals. Raises WeightsError."""
    return parse_keys({key: _literal(text) for key, text in properties.items()}, place)


def parse_keys(keys: Mapping[str, Any], place: str) -> Metadata:
    """Interpret Ultralytics' keys. Raises WeightsError if they are malformed or the task is not supported.

    Without a task and class names they are ignored, because any exporter writes some of these keys.
    """
    if "task" not in keys and "names" not in keys:
        return Metadata()
    try:
        task = keys["task"]
        if task not in get_args(Task):
            raise WeightsError(
                f"{place}: the model is of task {task!r}; a model of kind objects runs {', '.join(get_args(Task))}"
            )
        output = _output(task, keys)
        channels = int(keys.get("channels", 3))
        if channels not in (1, 3):
            raise WeightsError(f"{place}: the model takes {channels} channels; frames have 3, or 1 of grey")
        size = _size(keys["imgsz"])
        contract = Contract(
            task=task,
            names=_names(keys["names"]),
            layout="NCHW",
            colour="GREY" if channels == 1 else "RGB",
            mean=(0.0,),
            scale=(255.0,),
            fit=_fit(output, size),
            output=output,
            keypoints=_keypoints(keys["kpt_shape"]) if task == "pose" else None,
        )
        return Metadata(
            contract=contract,
            size=size,
            sizes={str(name): _size(size) for name, size in keys.get("sizes", {}).items()},
            stride=int(keys.get("stride", 32)),
            thresholds=_thresholds(keys),
        )
    except WeightsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as malformed:
        raise WeightsError(f"{place} is malformed: {type(malformed).__name__} {malformed}") from malformed


def _output(task: Task, keys: Mapping[str, Any]) -> Output:
    if task == "classify":
        return "classes"
    if keys.get("head") == RTDETR:
        return "rtdetr"
    arguments = keys.get("args")
    suppressed = isinstance(arguments, Mapping) and arguments.get("nms") is True
    return "end2end" if keys.get("end2end") is True or suppressed else "anchors"


def _fit(output: Output, size: tuple[int, int]) -> Fit:
    """How Ultralytics fits pictures into the input: only square classifiers get a crop."""
    if output == "classes":
        return "crop" if size[0] == size[1] else "stretch"
    return "stretch" if output == "rtdetr" else "letterbox"


def _names(keys: Mapping[int | str, str] | list[str]) -> tuple[str, ...]:
    if isinstance(keys, list):
        return tuple(str(name) for name in keys)
    names = {int(number): str(name) for number, name in keys.items()}
    if sorted(names) != list(range(len(names))):
        raise ValueError(f"class numbers are not 0..{len(names) - 1}: {sorted(names)}")
    return tuple(names[number] for number in range(len(names)))


def _keypoints(keys: list[int]) -> tuple[int, int]:
    count, numbers = (int(number) for number in keys)
    return count, numbers


def _thresholds(keys: Mapping[str, Any]) -> Thresholds:
    """Argus's own keys: the thresholds that the weights' author recommends."""
    default, by_label = keys.get("score_threshold"), keys.get("score_thresholds", {})
    return Thresholds(
        default=None if default is None else float(default),
        by_label=tuple((str(label), float(score)) for label, score in by_label.items()),
    )


def _size(keys: list[int] | int) -> tuple[int, int]:
    height, width = (keys, keys) if isinstance(keys, int) else (int(side) for side in keys)
    if height <= 0 or width <= 0:
        raise ValueError(f"imgsz {keys} is no size")
    return width, height


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
