"""Converts TensorFlow's operations to OpenVINO's, in one layout and for any picture size.

TensorFlow transposes to channels-last before each convolution and back after it. Here every tensor stays
channels-first: a transpose only changes the meaning of the next operation's axes and paddings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from openvino import Output
from openvino import opset13 as op

from apps.training.nanodet.graph import Array, Graph, GraphError, Node


class View(Enum):
    """A tensor's layout in the TensorFlow graph; the value is the index of each axis in N, C, H, W."""

    FIRST = (0, 1, 2, 3)
    LAST = (0, 2, 3, 1)


@dataclass(frozen=True, kw_only=True)
class Padding:
    """Cells to add before and after a tensor, (height, width), and their value."""

    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)
    fill: float = 0.0


NO_PADDING = Padding()


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor (N, C, H, W) whose cells each cover `stride` by `stride` pixels of the picture.

    `padding` is not yet applied: the next convolution or pooling does that.
    """

    output: Output
    view: View
    stride: int
    padding: Padding = NO_PADDING


Argument = Value | Array


class Converter:
    """Converts requested nodes and all that they depend on, each node once."""

    def __init__(self, graph: Graph, image: Output) -> None:
        """`image` (N, 3, H, W) replaces the graph's own input."""
        self._graph = graph
        self._image = Value(output=image, view=View.FIRST, stride=1)
        self._done: dict[str, Value] = {}

    def value(self, name: str) -> Value:
        """The converted node. Raises GraphError if an operation is not supported."""
        # Depth first with an explicit stack, because the chain of nodes is longer than Python's recursion limit.
        stack = [name]
        while stack:
            node = self._graph.node(stack[-1])
            missing = [each for each in node.inputs if each not in self._graph.weights and each not in self._done]
            if missing:
                stack += missing
            else:
                self._done[stack.pop()] = self._convert(node)
        return self._done[name]

    def _convert(self, node: Node) -> Value:
        if node.operation == "Placeholder":
            return self._image
        arguments = [self._argument(name) for name in node.inputs]
        if node.operation == "ResizeBilinear":
            return _resize(node, arguments, self._graph.trained_size)
        convert = _OPERATIONS.get(node.operation)
        if convert is None:
            raise GraphError(f"operation {node.operation} of node {node.name} is not supported")
        return convert(node, arguments)

    def _argument(self, name: str) -> Argument:
        weight = self._graph.weights.get(name)
        return self._done[name] if weight is None else weight


def floats(numbers: Array | Sequence[float]) -> Output:
    """A constant of type float32."""
    return op.constant(np.asarray(numbers, dtype=np.float32)).output(0)


def integers(numbers: int | Sequence[int]) -> Output:
    """A constant of type int64, for axes and shapes."""
    return op.constant(np.asarray(numbers, dtype=np.int64)).output(0)


def _convolution(node: Node, arguments: Sequence[Argument]) -> Value:
    value, kernel = _channels_last(node, arguments[0]), _weight(node, arguments[1])
    strides, padding = _strides(node), _padding_to_apply(node, value, 0.0)
    output = op.convolution(
        value.output,
        floats(kernel.transpose(3, 2, 0, 1)),
        [strides, strides],
        list(padding.before),
        list(padding.after),
        list(node.integers("dilations")[1:3]),
    )
    return Value(output=output.output(0), view=View.LAST, stride=value.stride * strides)


def _max_pool(node: Node, arguments: Sequence[Argument]) -> Value:
    value = _channels_last(node, arguments[0])
    strides, padding = _strides(node), _padding_to_apply(node, value, -np.inf)
    output = op.max_pool(
        value.output,
        [strides, strides],
        [1, 1],
        list(padding.before),
        list(padding.after),
        list(node.integers("ksize")[1:3]),
    )
    return Value(output=output.output(0), view=View.LAST, stride=value.stride * strides)


def _pad(node: Node, arguments: Sequence[Argument]) -> Value:
    value, amounts = _unpadded(node, arguments[0]), _weight(node, arguments[1])
    fill = float(_weight(node, arguments[2])) if len(arguments) == 3 else 0.0
    sides = {place: (int(before), int(after)) for place, (before, after) in zip(value.view.value, amounts, strict=True)}
    if sides[0] != (0, 0) or sides[1] != (0, 0):
        raise GraphError(f"{node.name} pads more than height and width")
    (top, bottom), (left, right) = sides[2], sides[3]
    return replace(value, padding=Padding(before=(top, left), after=(bottom, right), fill=fill))


def _transpose(node: Node, arguments: Sequence[Argument]) -> Value:
    value = _tensor(node, arguments[0])
    order = tuple(int(axis) for axis in _weight(node, arguments[1]))
    views: dict[tuple[View, tuple[int, ...]], View] = {
        (View.FIRST, (0, 2, 3, 1)): View.LAST,
        (View.LAST, (0, 3, 1, 2)): View.FIRST,
    }
    view = views.get((value.view, order))
    if view is None:
        raise GraphError(f"{node.name} transposes a {value.view.name} tensor by {order}")
    return replace(value, view=view)


def _add(node: Node, arguments: Sequence[Argument]) -> Value:
    """The sum of two tensors, or of a tensor and a bias per channel."""
    first, second = _unpadded(node, arguments[0]), arguments[1]
    if isinstance(second, Value):
        if second.view is not first.view:
            raise GraphError(f"{node.name} adds tensors of two layouts")
        addend = _unpadded(node, second).output
    elif first.view is View.LAST and second.ndim == 1:
        addend = floats(second.reshape(1, -1, 1, 1))
    else:
        raise GraphError(f"{node.name} adds a weight of shape {second.shape} to a {first.view.name} tensor")
    return replace(first, output=op.add(first.output, addend).output(0))


def _leaky_relu(node: Node, arguments: Sequence[Argument]) -> Value:
    value = _unpadded(node, arguments[0])
    return replace(value, output=op.prelu(value.output, floats([node.number("alpha")])).output(0))


def _concatenate(node: Node, arguments: Sequence[Argument]) -> Value:
    *parts, axis = arguments
    values = [_unpadded(node, part) for part in parts]
    if any(value.view is not values[0].view for value in values):
        raise GraphError(f"{node.name} concatenates tensors of two layouts")
    place = values[0].view.value[int(_weight(node, axis))]
    return replace(values[0], output=op.concat([value.output for value in values], place).output(0))


def _resize(node: Node, arguments: Sequence[Argument], trained_size: int) -> Value:
    """Bilinear resizing. The graph's target size is for the exported picture size: only its ratio is used."""
    value, target = _channels_last(node, arguments[0]), _weight(node, arguments[1])
    if node.flag("align_corners") or not node.flag("half_pixel_centers") or value.padding != NO_PADDING:
        raise GraphError(f"{node.name} does not resize by half-pixel centres")
    stride = trained_size // int(target[0])
    ratio = value.stride / stride
    output = op.interpolate(
        value.output,
        floats([ratio, ratio]),
        "linear_onnx",
        "scales",
        coordinate_transformation_mode="half_pixel",
        axes=integers([2, 3]),
    )
    return Value(output=output.output(0), view=View.LAST, stride=stride)


_OPERATIONS: dict[str, Callable[[Node, Sequence[Argument]], Value]] = {
    "Add": _add,
    "ConcatV2": _concatenate,
    "Conv2D": _convolution,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "PadV2": _pad,
    "Transpose": _transpose,
}


def _tensor(node: Node, argument: Argument) -> Value:
    if not isinstance(argument, Value):
        raise GraphError(f"{node.operation} {node.name} has a weight where a tensor is expected")
    return argument


def _unpadded(node: Node, argument: Argument) -> Value:
    """A tensor that has no pending padding."""
    value = _tensor(node, argument)
    if value.padding != NO_PADDING:
        raise GraphError(f"{node.operation} {node.name} takes a padded tensor, which is not supported")
    return value


def _channels_last(node: Node, argument: Argument) -> Value:
    value = _tensor(node, argument)
    if value.view is not View.LAST:
        raise GraphError(f"{node.operation} {node.name} takes channels first, which is not supported")
    return value


def _weight(node: Node, argument: Argument) -> Array:
    if isinstance(argument, Value):
        raise GraphError(f"{node.operation} {node.name} has a tensor where a weight is expected")
    return argument


def _strides(node: Node) -> int:
    vertical, horizontal = node.integers("strides")[1:3]
    if vertical != horizontal:
        raise GraphError(f"{node.name} has the strides {vertical} and {horizontal}; only equal ones are supported")
    return vertical


def _padding_to_apply(node: Node, value: Value, fill: float) -> Padding:
    """The padding to apply here. `fill` is OpenVINO's padding value for this operation."""
    if node.text("padding") != "VALID":
        raise GraphError(f"{node.name} pads by {node.text('padding')}; only VALID after a Pad is supported")
    if value.padding not in (NO_PADDING, replace(value.padding, fill=fill)):
        raise GraphError(f"{node.name} takes a tensor padded with {value.padding.fill}, not {fill}")
    return value.padding
