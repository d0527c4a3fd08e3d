"""Converts NanoDet-g to an OpenVINO network for any multiple of 32 pixels, with boxes and scores of some labels."""

from dataclasses import replace

import numpy as np
import openvino as ov
from openvino import Output
from openvino import opset13 as op

from apps.training.nanodet.graph import Graph, GraphError
from apps.training.nanodet.operators import Converter, floats, integers

# fmt: off
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""COCO's labels, in the order of the network's scores."""
LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
"""The labels that Argus keeps."""
STRIDE = 32
"""A picture's height and width must be multiples of this (pixels)."""

IMAGE = "PartitionedCall/convolution"
HEADS = {8: "PartitionedCall/Add_29", 16: "PartitionedCall/Add_33", 32: "PartitionedCall/Add_37"}
"""By stride in pixels: the node whose output has, per cell, the labels' scores and the distances to a box's sides."""
BINS = 11
"""Each distance is a distribution over 0, 1, ... 10 strides (`reg_max: 10` in the upstream configuration)."""
MEAN = (103.53, 116.28, 123.675)
DEVIATION = (57.375, 57.12, 58.395)
"""The normalization used in training, BGR in 0..255 (`normalize` in the upstream configuration)."""


def convert(graph: Graph, labels: tuple[str, ...] = LABELS) -> ov.Model:
    """The detector for `labels`. Raises GraphError.

    Input `images` (1, 3, H, W): RGB in 0..1; H and W are dynamic, multiples of 32 pixels.
    Output `output0` (1, 4 + labels, N), N cells of all strides: centre x, centre y, width, height in pixels, then a
    score per label.
    """
    graph = _keep_labels(graph, labels)
    image = op.parameter([1, 3, -1, -1], np.float32, name="images")
    image.output(0).set_names({"images"})
    converter = Converter(graph, _normalized(image.output(0)))
    levels = [_decode(converter.value(node).output, stride, len(labels)) for stride, node in HEADS.items()]
    output = op.concat(levels, 2).output(0)
    output.set_names({"output0"})
    return ov.Model([op.result(output)], [image], "nanodet-g")


def _keep_labels(graph: Graph, labels: tuple[str, ...]) -> Graph:
    """The graph with RGB input and only the scores of `labels`."""
    unknown = [label for label in labels if label not in COCO]
    if unknown:
        raise GraphError(f"the network does not know {', '.join(unknown)}; it knows {', '.join(COCO)}")
    rows = [COCO.index(label) for label in labels] + list(range(len(COCO), len(COCO) + 4 * BINS))
    weights = dict(graph.weights)
    kernel = graph.node(IMAGE).inputs[1]
    weights[kernel] = weights[kernel][:, :, ::-1]
    for node in HEADS.values():
        convolution, bias = graph.node(node).inputs
        kernel = graph.node(convolution).inputs[1]
        weights[kernel], weights[bias] = weights[kernel][..., rows], weights[bias][rows]
    return replace(graph, weights=weights)


def _normalized(image: Output) -> Output:
    mean, deviation = (np.reshape(numbers[::-1], (1, 3, 1, 1)) / 255 for numbers in (MEAN, DEVIATION))
    return op.multiply(op.subtract(image, floats(mean)), floats(1 / deviation)).output(0)


def _decode(head: Output, stride: int, labels: int) -> Output:
    """One level's cells as columns (1, 4 + labels, cells), row by row.

    The cells' centres are computed from the head's shape, so one network works for every size. If the size is fixed
    before compilation, OpenVINO computes them once.
    """
    parts = op.variadic_split(head, integers(1), integers([labels, 4 * BINS]))
    scores = op.reshape(op.sigmoid(parts.output(0)), integers([1, labels, -1]), False)
    shares = op.softmax(op.reshape(parts.output(1), integers([1, 4, BINS, -1]), False), 2)
    distances = floats((np.arange(BINS) * stride).reshape(1, 1, BINS, 1))
    sides = op.reduce_sum(op.multiply(shares, distances), integers([2]), False)
    left, top, right, bottom = op.split(sides, integers(1), 4).outputs()
    x, y = _centres(head, stride)
    half = floats([0.5])
    return op.concat(
        [
            op.add(x, op.multiply(op.subtract(right, left), half)),
            op.add(y, op.multiply(op.subtract(bottom, top), half)),
            op.add(left, right),
            op.add(top, bottom),
            scores,
        ],
        1,
    ).output(0)


def _centres(head: Output, stride: int) -> tuple[Output, Output]:
    """x and y of every cell's centre, in pixels, each (1, 1, cells)."""
    size = op.gather(op.shape_of(head), integers([2, 3]), integers(0))
    height, width = op.split(size, integers(0), 2).outputs()
    along_x, along_y = _centres_along(width, stride), _centres_along(height, stride)
    flat = integers([1, 1, -1])
    x = op.reshape(op.broadcast(op.reshape(along_x, integers([1, -1]), False), size), flat, False)
    y = op.reshape(op.broadcast(op.reshape(along_y, integers([-1, 1]), False), size), flat, False)
    return x.output(0), y.output(0)


def _centres_along(cells: Output, stride: int) -> Output:
    """The centres of `cells` cells along one axis, in pixels."""
    count = op.squeeze(cells, integers(0))
    numbers = op.range(integers(0), count, integers(1), "f32")
    return op.multiply(op.add(numbers, floats([0.5])), floats([float(stride)])).output(0)
