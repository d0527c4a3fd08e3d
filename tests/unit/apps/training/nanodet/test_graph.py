import json
from typing import Any

import numpy as np
import pytest

from apps.training.nanodet.graph import GraphError, read_graph

HALF = {"dtype": "float16", "original_dtype": "float32"}


def document(manifest: list[dict[str, Any]], size: tuple[int, int] = (64, 64)) -> bytes:
    picture = {"dim": [{"size": str(each)} for each in (1, 3, *size)]}
    nodes = [
        {"name": "image", "op": "Placeholder", "attr": {"shape": {"shape": picture}}},
        {"name": "split", "op": "SplitV", "input": ["image:1", "^late"], "attr": {"padding": {"s": "VkFMSUQ="}}},
    ]
    return json.dumps({"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": manifest}]}).encode()


def entry(
    name: str, shape: list[int], dtype: str = "float32", quantization: dict[str, str] | None = None
) -> dict[str, Any]:
    return {"name": name, "shape": shape, "dtype": dtype} | ({"quantization": quantization} if quantization else {})


def test_weights_are_read_in_the_order_of_the_manifest_and_widened() -> None:
    kernel, axes = np.arange(6, dtype=np.float16), np.array([3, 1], np.int32)
    manifest = [entry("kernel", [2, 3], quantization=HALF), entry("axes", [2], "int32"), entry("alpha", [])]
    shard = kernel.tobytes() + axes.tobytes() + np.float32(0.25).tobytes()
    graph = read_graph(document(manifest), shard)
    assert graph.weights["kernel"].dtype == np.float32
    np.testing.assert_array_equal(graph.weights["kernel"], kernel.reshape(2, 3))
    np.testing.assert_array_equal(graph.weights["axes"], axes)
    assert graph.weights["alpha"] == np.float32(0.25)
    assert graph.trained_size == 64


def test_inputs_lose_their_output_number_and_what_only_asks_for_an_order() -> None:
    node = read_graph(document([]), b"").node("split")
    assert node.inputs == ("image",)
    assert node.text("padding") == "VALID"


@pytest.mark.parametrize(
    ("topology", "shard", "message"),
    [
        (b"{", b"", "not a TensorFlow.js graph model: JSONDecodeError"),
        (b"{}", b"", "not a TensorFlow.js graph model: KeyError 'modelTopology'"),
        (document([entry("kernel", [4])]), b"\x00" * 8, "end after 8 bytes, in the middle of kernel"),
        (document([entry("kernel", [1])]), b"\x00" * 8, "have 8 bytes, the manifest describes 4"),
        (document([entry("kernel", [1], "complex64")]), b"", "kernel is complex64 stored as None"),
        (document([entry("kernel", [1], quantization={"dtype": "uint8"})]), b"", "kernel is float32 stored as uint8"),
        (document([], (64, 32)), b"", "exported for 32x64 pixels; only a square"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(topology: bytes, shard: bytes, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        read_graph(topology, shard)


def test_a_missing_node_or_attribute_is_named() -> None:
    graph = read_graph(document([]), b"")
    with pytest.raises(GraphError, match="has no node gone"):
        graph.node("gone")
    with pytest.raises(GraphError, match="SplitV split has no attribute strides"):
        graph.node("split").integers("strides")
