"""The converter on handmade graphs: each operation's result is compared with NumPy or OpenCV."""

import base64
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
from openvino import opset13 as op

from apps.training.nanodet import convert as nanodet
from apps.training.nanodet.graph import Array, Graph, GraphError, Node
from apps.training.nanodet.operators import Converter, View

LAST, FIRST = np.array([0, 2, 3, 1]), np.array([0, 3, 1, 2])
VALID = {"s": base64.b64encode(b"VALID").decode()}
RANDOM = np.random.default_rng(1)


def numbers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def node(name: str, operation: str, *inputs: str, **attributes: Any) -> Node:
    return Node(name=name, operation=operation, inputs=inputs, attributes=attributes)


def conv(name: str, source: str, kernel: str, stride: int = 1) -> Node:
    return node(
        name,
        "Conv2D",
        source,
        kernel,
        strides=numbers(1, stride, stride, 1),
        padding=VALID,
        dilations=numbers(1, 1, 1, 1),
    )


def graph(*nodes: Node, **weights: Array) -> Graph:
    every = (node("image", "Placeholder"), *nodes)
    return Graph(
        nodes={each.name: each for each in every}, weights={"last": LAST, "first": FIRST, **weights}, trained_size=64
    )


def run(made: Graph, name: str, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    image = op.parameter([1, picture.shape[1], -1, -1], np.float32)
    value = Converter(made, image.output(0)).value(name)
    model = ov.Model([op.result(value.output)], [image], "test")
    return np.asarray(ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(picture)[0])


def picture(channels: int = 3, height: int = 6, width: int = 8) -> npt.NDArray[np.float32]:
    return RANDOM.normal(size=(1, channels, height, width)).astype(np.float32)


def test_a_padded_convolution_with_bias_and_leaky_relu_equals_opencv() -> None:
    kernel, bias = RANDOM.normal(size=(3, 3, 1, 1)).astype(np.float32), np.array([0.1], np.float32)
    made = graph(
        node("pad", "Pad", "image", "amounts"),
        node("to_last", "Transpose", "pad", "last"),
        conv("conv", "to_last", "kernel"),
        node("add", "Add", "conv", "bias"),
        node("to_first", "Transpose", "add", "first"),
        node("relu", "LeakyRelu", "to_first", alpha={"f": 0.1}),
        amounts=np.array([[0, 0], [0, 0], [1, 1], [1, 1]]),
        kernel=kernel,
        bias=bias,
    )
    seen = picture(1)
    expected = cv2.filter2D(seen[0, 0], cv2.CV_32F, kernel[:, :, 0, 0], borderType=cv2.BORDER_CONSTANT) + bias
    found = run(made, "relu", seen)[0, 0]
    np.testing.assert_allclose(found, np.where(expected > 0, expected, 0.1 * expected), atol=1e-5)


def test_a_pool_over_minus_infinity_ignores_the_edge() -> None:
    made = graph(
        node("pad", "PadV2", "image", "amounts", "fill"),
        node("to_last", "Transpose", "pad", "last"),
        node("pool", "MaxPool", "to_last", ksize=numbers(1, 3, 3, 1), strides=numbers(1, 2, 2, 1), padding=VALID),
        amounts=np.array([[0, 0], [0, 0], [1, 1], [1, 1]]),
        fill=np.float32(-np.inf),
    )
    found = run(made, "pool", -np.abs(picture()) - 1)
    assert found.shape == (1, 3, 3, 4)
    assert found.max() < -1


def test_channels_are_concatenated_as_each_layout_counts_them() -> None:
    made = graph(
        node("to_last", "Transpose", "image", "last"),
        node("both_last", "ConcatV2", "to_last", "to_last", "three"),
        node("both_first", "ConcatV2", "image", "image", "one"),
        one=np.int32(1),
        three=np.int32(3),
    )
    seen = picture()
    for name in ("both_last", "both_first"):
        np.testing.assert_array_equal(run(made, name, seen), np.concatenate([seen, seen], axis=1))


@pytest.mark.parametrize(("cells", "size"), [(64, (12, 16)), (16, (3, 4))])
def test_a_resize_keeps_the_ratio_that_it_had_at_the_exported_size(cells: int, size: tuple[int, int]) -> None:
    # After a convolution of stride 2, the exported 64 pixels are 32 cells, so 64 is double and 16 is half.
    made = graph(
        node("to_last", "Transpose", "image", "last"),
        conv("conv", "to_last", "kernel", stride=2),
        node("resize", "ResizeBilinear", "conv", "target", half_pixel_centers={"b": True}, align_corners={"b": False}),
        kernel=np.ones((1, 1, 1, 1), np.float32),
        target=np.array([cells, cells]),
    )
    seen = picture(1, 12, 16)
    expected = cv2.resize(np.ascontiguousarray(seen[0, 0, ::2, ::2]), size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(run(made, "resize", seen)[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("bad", "weights", "message"),
    [
        (node("x", "Softplus", "image"), {}, "operation Softplus of node x is not supported"),
        (
            node("x", "Transpose", "image", "order"),
            {"order": np.array([3, 2, 1, 0])},
            r"transposes a FIRST tensor by \(3",
        ),
        (conv("x", "image", "kernel"), {"kernel": np.ones((1, 1, 3, 1))}, "Conv2D x takes channels first"),
        (node("x", "Pad", "image", "by"), {"by": np.array([[0, 0], [1, 0], [0, 0], [0, 0]])}, "pads more than height"),
        (node("x", "Add", "image", "bias"), {"bias": np.ones(3)}, r"adds a weight of shape \(3,\) to a FIRST tensor"),
        (node("x", "LeakyRelu", "bias"), {"bias": np.ones(3)}, "has a weight where a tensor is expected"),
        (node("x", "Add", "nothing", "image"), {}, "has no node nothing"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(bad: Node, weights: dict[str, Array], message: str) -> None:
    image = op.parameter([1, 3, -1, -1], np.float32)
    with pytest.raises(GraphError, match=message):
        Converter(graph(bad, **weights), image.output(0)).value("x")


def test_a_transpose_costs_nothing() -> None:
    image = op.parameter([1, 3, -1, -1], np.float32)
    value = Converter(graph(node("t", "Transpose", "image", "last")), image.output(0)).value("t")
    assert value.view is View.LAST
    assert value.output.get_node().get_friendly_name() == image.get_friendly_name()


def tiny() -> Graph:
    """A network with NanoDet's names: three heads of one convolution each, with all weights zero."""
    nodes, weights = [], {}
    outputs = len(nanodet.COCO) + 4 * nanodet.BINS
    nodes += [node("to_last", "Transpose", "image", "last"), conv(nanodet.IMAGE, "to_last", "first_kernel", stride=8)]
    weights["first_kernel"] = np.zeros((1, 1, 3, 2), np.float32)
    for stride, head in nanodet.HEADS.items():
        nodes += [
            conv(f"conv{stride}", nanodet.IMAGE, f"kernel{stride}", stride // 8),
            node(head, "Add", f"conv{stride}", f"bias{stride}"),
        ]
        weights[f"kernel{stride}"] = np.zeros((1, 1, 2, outputs), np.float32)
        bias = np.full(outputs, -9, np.float32)
        bias[nanodet.COCO.index("dog")] = stride / 8 - 2
        # Left 1 stride, top 2, right 3, bottom 4: one bin of each distribution dominates.
        for side, distance in enumerate((1, 2, 3, 4)):
            bias[len(nanodet.COCO) + side * nanodet.BINS + distance] = 30
        weights[f"bias{stride}"] = bias
    return graph(*nodes, **weights)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32)])
def test_one_network_decodes_the_boxes_of_every_size(height: int, width: int) -> None:
    model = nanodet.convert(tiny(), ("dog", "person"))
    assert str(model.input(0).partial_shape) == "[1,3,?,?]"
    model.reshape([1, 3, height, width])
    cells = sum((height // stride) * (width // stride) for stride in nanodet.HEADS)
    assert list(model.output(0).shape) == [1, 6, cells]
    output = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(picture(3, height, width))[0][0]
    column = 0
    for stride in nanodet.HEADS:
        for row in range(height // stride):
            for place in range(width // stride):
                x, y = (place + 0.5) * stride, (row + 0.5) * stride
                # The centre moves by half of (right - left) and of (bottom - top): one stride each.
                np.testing.assert_allclose(
                    output[:4, column], [x + stride, y + stride, 4 * stride, 6 * stride], rtol=1e-4
                )
                dog = 1 / (1 + np.exp(2 - stride / 8))
                np.testing.assert_allclose(output[4:, column], [dog, 1 / (1 + np.exp(9))], rtol=1e-3)
                column += 1


def test_red_green_blue_goes_in_normalized_as_blue_green_red_was_in_training() -> None:
    made = tiny()
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0, 0] = 1  # The first channel, which was trained on blue.
    made.weights["first_kernel"] = kernel
    dog = nanodet.COCO.index("dog")
    made.weights["kernel8"][0, 0, 0, dog] = 1
    made.weights["bias8"][dog] = 0
    model = nanodet.convert(made, ("dog",))
    model.reshape([1, 3, 32, 32])
    seen = np.zeros((1, 3, 32, 32), np.float32)
    seen[0, 2] = 200 / 255
    output = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(seen)[0][0]
    assert output[4, 0] == pytest.approx(1 / (1 + np.exp(-(200 - 103.53) / 57.375)), abs=1e-3)


def test_a_label_that_the_network_does_not_know_is_refused() -> None:
    with pytest.raises(GraphError, match="does not know unicorn; it knows person, bicycle"):
        nanodet.convert(tiny(), ("person", "unicorn"))
