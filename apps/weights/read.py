"""Reads a network's description from its metadata and the stack's contract, and checks it against the graph.

This happens at preview on the user's computer and again in the job. Nothing is guessed from sizes: a missing fact is
an error, and one that the graph contradicts is refused.
"""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import openvino as ov

from apps.weights.contract import Colour, Contract, Fit, Layout, Output, Precision, Task, Thresholds
from apps.weights.files import Network, WeightsError, content_hash, find_network
from apps.weights.metadata import Metadata, from_onnx, from_yaml

_REQUIRED = ("task", "names", "layout", "colour", "scale", "fit", "output")
SIZE_TOLERANCE = 1.06
"""An input fitted to a frame's shape may have this many times the pixels of the configured one."""
_OUTPUTS_BY_TASK: dict[str, tuple[Output, ...]] = {
    "detect": ("anchors", "objectness", "end2end", "rtdetr", "queries"),
    "segment": ("anchors", "end2end"),
    "pose": ("anchors", "end2end"),
    "obb": ("anchors", "end2end"),
    "classify": ("classes",),
}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A network that can be run. Its input is one picture of `width` x `height` pixels.

    Each channel is normalized as `(value - mean) / scale`, in the order of `colour`. `quantized` says whether the graph
    computes in int8. `keypoints` are their number and the numbers per keypoint; `coefficients` is the number of mask
    coefficients of a segment.
    """

    network: Path
    content: str
    task: Task
    names: tuple[str, ...]
    output: Output
    width: int
    height: int
    layout: Layout
    colour: Colour
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    fit: Fit
    quantized: bool
    keypoints: tuple[int, int] | None = None
    coefficients: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)
    """The thresholds that the weights recommend."""
    stride: int = 32
    """If the network accepts any size, its sides must be multiples of this."""
    adapts: bool = False
    """Whether the network accepts any size and the stack does not fix one."""

    def fitted(self, frame: tuple[int, int]) -> "Weights":
        """The same with an input of the aspect ratio of a frame (width, height), if the network adapts.

        The cost stays about the same, as the pixels do, but no part of the input is wasted on grey edges.
        """
        if not self.adapts:
            return self
        most_pixels = self.width * self.height * SIZE_TOLERANCE
        widths = range(self.stride, 4 * self.width, self.stride)
        sizes = [(width, int(most_pixels / width / self.stride) * self.stride) for width in widths]
        width, height = max(
            (size for size in sizes if size[1]),
            key=lambda size: (min(size[0] / frame[0], size[1] / frame[1]), -size[0] * size[1]),
        )
        return replace(self, width=width, height=height)

    @property
    def shape(self) -> list[int]:
        """The input's shape for one picture, in the order of `layout`."""
        channels = 1 if self.colour == "GREY" else 3
        if self.layout == "NHWC":
            return [1, self.height, self.width, channels]
        return [1, channels, self.height, self.width]


def read_weights(
    place: Path,
    contract: Contract | None = None,
    *,
    size: str | None = None,
    precision: Precision = "auto",
    fast_int8: bool = True,
) -> Weights:
    """Read the network at `place`, a folder or an `.onnx` file. Raises WeightsError with what to add or correct.

    `size` is the name of one of the metadata's sizes or `WIDTHxHEIGHT`. With `precision` int8, or auto on a machine
    that is fast at int8 (`fast_int8`), the int8 variant is read, if there is one.
    """
    network = find_network(place)
    path = (
        network.int8 if network.int8 and (precision == "int8" or (precision == "auto" and fast_int8)) else network.path
    )
    graph = _graph(path)
    metadata = _metadata(network, graph)
    merged = _merge(place, metadata, contract or Contract())
    width, height = _size(place, graph, merged, metadata, size)
    quantized = any(operation.get_type_name() == "FakeQuantize" for operation in graph.get_ops())
    if precision == "int8" and not quantized:
        raise WeightsError(f"{place} has no network in int8: quantize it, or choose another precision")
    weights = Weights(
        network=path,
        content=content_hash(path),
        width=width,
        height=height,
        quantized=quantized,
        thresholds=metadata.thresholds,
        stride=metadata.stride,
        adapts=merged["fit"] == "letterbox"
        and "x" not in (size or "")
        and _fixed_size(graph, merged["layout"]) is None,
        mean=merged.pop("mean", (0.0,)),
        coefficients=_coefficients(place, graph) if merged["task"] == "segment" else 0,
        **merged,
    )
    check_output(weights, resized(graph, weights))
    return weights


def resized(graph: ov.Model, weights: Weights) -> ov.Model:
    """Reshape the graph for one picture of the weights' size. Raises WeightsError if it does not accept that."""
    try:
        graph.reshape(weights.shape)
        graph.validate_nodes_and_infer_types()
    except RuntimeError as refused:
        raise WeightsError(
            f"{weights.network} does not take {weights.shape}: export it with batch=1 and imgsz="
            f"[{weights.height}, {weights.width}], or dynamic=True ({_first_line(refused)})"
        ) from refused
    return graph


def check_output(weights: Weights, graph: ov.Model) -> None:
    """Raise WeightsError unless the graph has an output of the layout `weights.output`."""
    shapes = [_output_shape(weights, output) for output in graph.outputs]
    expected = _expected_shape(weights)
    if not any(_matches(shape, expected) for shape in shapes):
        raise WeightsError(
            f"{weights.network} answers {shapes}; {weights.task} with {len(weights.names)} classes and the output "
            f"{weights.output!r} needs [{', '.join(str(side or 'N') for side in expected)}]: set the layout of its "
            "output in contract.output, and its classes in contract.names"
        )


def _expected_shape(weights: Weights) -> list[int | None]:
    """The expected output shape; None is any number."""
    classes = len(weights.names)
    more = weights.coefficients if weights.task == "segment" else 1 if weights.task == "obb" else 0
    if weights.keypoints is not None:
        more = weights.keypoints[0] * weights.keypoints[1]
    shapes: dict[Output, list[int | None]] = {
        "anchors": [1, 4 + classes + more, None],
        "objectness": [1, None, 5 + classes],
        "end2end": [1, None, 6 + more],
        "rtdetr": [1, None, 6],
        "queries": [1, None, 4 + classes],
        "classes": [1, classes],
    }
    return shapes[weights.output]


def _matches(shape: list[int], expected: list[int | None]) -> bool:
    return len(shape) == len(expected) and all(
        wanted in (None, side) for side, wanted in zip(shape, expected, strict=True)
    )


def _output_shape(weights: Weights, output: Any) -> list[int]:
    """An output's shape; dynamic dimensions are 0."""
    shape = [side.get_length() if side.is_static else 0 for side in output.partial_shape]
    if shape and shape[0] not in (0, 1):
        raise WeightsError(
            f"{weights.network} answers {shape[0]} pictures at once whatever it is given: export it with batch=1"
        )
    return [1, *shape[1:]]


def _graph(path: Path) -> ov.Model:
    try:
        graph = ov.Core().read_model(path)
    except RuntimeError as unreadable:
        raise WeightsError(
            f"{path} is damaged or of a kind that OpenVINO does not read: export or copy it again "
            f"({_first_line(unreadable)})"
        ) from unreadable
    if len(graph.inputs) != 1 or graph.input(0).partial_shape.rank.is_dynamic or len(graph.input(0).partial_shape) != 4:
        raise WeightsError(f"{path} does not take one picture: it has {len(graph.inputs)} inputs")
    return graph


def _metadata(network: Network, graph: ov.Model) -> Metadata:
    if network.metadata is not None:
        return from_yaml(network.metadata)
    if graph.has_rt_info("framework"):
        properties = graph.get_rt_info("framework").astype(dict)
        return from_onnx({name: str(value.value) for name, value in properties.items()}, str(network.path))
    return Metadata()


def _merge(place: Path, metadata: Metadata, contract: Contract) -> dict[str, Any]:
    """Merge metadata and contract, by the fields of Contract. Raises WeightsError."""
    from_metadata, from_stack = metadata.contract.stated(), contract.stated()
    for key, value in from_stack.items():
        if key in from_metadata and key != "output" and from_metadata[key] != value:
            raise WeightsError(
                f"{place} says {key} {from_metadata[key]!r} in its metadata, and contract.{key} says {value!r}: "
                "remove the latter"
            )
    merged = from_metadata | from_stack
    missing = [name for name in _REQUIRED if name not in merged]
    if missing:
        raise WeightsError(
            f"{place} does not say {', '.join(missing)} in its metadata: say it in contract ("
            f"{', '.join(each.name for each in fields(Contract))}; see docs/config.md)"
        )
    if merged["output"] not in _OUTPUTS_BY_TASK[merged["task"]]:
        raise WeightsError(
            f"contract.output: {merged['output']!r} is no answer of the task {merged['task']}; "
            f"choose {', '.join(_OUTPUTS_BY_TASK[merged['task']])}"
        )
    if merged["task"] == "pose" and "keypoints" not in merged:
        raise WeightsError(f"{place} is of task pose: say in contract.keypoints how many it has, of how many numbers")
    return merged


def _size(
    place: Path, graph: ov.Model, merged: dict[str, Any], metadata: Metadata, size: str | None
) -> tuple[int, int]:
    """Width and height of the input. Raises WeightsError."""
    shape = graph.input(0).partial_shape
    channels = shape[3 if merged["layout"] == "NHWC" else 1]
    wanted = 1 if merged["colour"] == "GREY" else 3
    if channels.is_static and channels.get_length() != wanted:
        raise WeightsError(
            f"{place} takes {channels.get_length()} channels in the layout {merged['layout']}; "
            f"{merged['colour']} has {wanted}: correct contract.layout or contract.colour"
        )
    fixed = _fixed_size(graph, merged["layout"])
    requested = _requested_size(place, metadata, size)
    if fixed is not None:
        if requested not in (None, fixed):
            raise WeightsError(f"size: {size} cannot be: {place} takes {fixed[0]}x{fixed[1]} and nothing else")
        return fixed
    chosen = requested or metadata.size
    if chosen is None:
        raise WeightsError(f"{place} takes any size and its metadata name none: say WIDTHxHEIGHT in size")
    for side in chosen:
        if side % metadata.stride:
            raise WeightsError(f"size: {chosen[0]}x{chosen[1]}: {place} takes multiples of {metadata.stride}")
    return chosen


def _fixed_size(graph: ov.Model, layout: Layout) -> tuple[int, int] | None:
    """Width and height of a graph's fixed input; None if it accepts any size."""
    shape = graph.input(0).partial_shape
    high, wide = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    return (wide.get_length(), high.get_length()) if wide.is_static and high.is_static else None


def _requested_size(place: Path, metadata: Metadata, size: str | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if size in metadata.sizes:
        return metadata.sizes[size]
    width, by, height = size.partition("x")
    if not by:
        names = ", ".join(metadata.sizes) or "none"
        raise WeightsError(f"size: {place} has no size {size!r} (its named sizes: {names}): say WIDTHxHEIGHT")
    return int(width), int(height)


def _coefficients(place: Path, graph: ov.Model) -> int:
    """The number of mask prototypes: the channels of the output that has four dimensions."""
    for output in graph.outputs:
        shape = output.partial_shape
        if shape.rank.is_static and len(shape) == 4 and shape[1].is_static:
            return int(shape[1].get_length())
    raise WeightsError(f"{place} is of task segment, and has no output of prototypes [1, M, height, width]")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
