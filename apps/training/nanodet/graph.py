"""Reads a TensorFlow.js graph model: nodes by name, and weights as arrays."""

import base64
import json
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class GraphError(ValueError):
    """The graph cannot be read or converted; the message names the node or the weight."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One TensorFlow operation. `inputs` are names of nodes or weights, without output numbers."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]

    def integers(self, attribute: str) -> tuple[int, ...]:
        """A list attribute such as `strides`."""
        return tuple(int(number) for number in self._value(attribute)["list"]["i"])

    def text(self, attribute: str) -> str:
        """A string attribute such as `padding`, which the format stores in base64."""
        return base64.b64decode(self._value(attribute)["s"]).decode()

    def flag(self, attribute: str) -> bool:
        """A boolean attribute such as `align_corners`."""
        return bool(self._value(attribute)["b"])

    def number(self, attribute: str) -> float:
        """A float attribute such as `alpha`."""
        return float(self._value(attribute)["f"])

    def _value(self, attribute: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = self.attributes[attribute]
        except KeyError as missing:
            raise GraphError(f"{self.operation} {self.name} has no attribute {attribute}") from missing
        return value


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A network's operations and weights (float32 or int32), both by name.

    `trained_size` is the height and width in pixels for which the graph was exported.
    """

    nodes: dict[str, Node]
    weights: dict[str, Array]
    trained_size: int

    def node(self, name: str) -> Node:
        """The operation of that name. Raises GraphError."""
        try:
            return self.nodes[name]
        except KeyError as missing:
            raise GraphError(f"the graph has no node {name}") from missing


def read_graph(topology: bytes, weights: bytes) -> Graph:
    """The graph of a `graph-model` document and the one shard in its manifest. Raises GraphError."""
    try:
        document = json.loads(topology)
        nodes = [_node(each) for each in document["modelTopology"]["node"]]
        manifest = [entry for group in document["weightsManifest"] for entry in group["weights"]]
        size = next(_picture_size(node) for node in nodes if node.operation == "Placeholder")
    except (ValueError, KeyError, TypeError, StopIteration) as malformed:
        raise GraphError(f"not a TensorFlow.js graph model: {type(malformed).__name__} {malformed}") from malformed
    return Graph(nodes={node.name: node for node in nodes}, weights=_weights(manifest, weights), trained_size=size)


def _node(described: dict[str, Any]) -> Node:
    # A name such as ^other is a control dependency, not an input.
    inputs = tuple(name.split(":")[0] for name in described.get("input", []) if not name.startswith("^"))
    return Node(name=described["name"], operation=described["op"], inputs=inputs, attributes=described.get("attr", {}))


def _picture_size(placeholder: Node) -> int:
    dimensions = placeholder.attributes["shape"]["shape"]["dim"]
    height, width = (int(dimension["size"]) for dimension in dimensions[2:4])
    if height != width:
        raise GraphError(f"the graph was exported for {width}x{height} pixels; only a square is supported")
    return height


def _weights(manifest: list[dict[str, Any]], shard: bytes) -> dict[str, Array]:
    weights: dict[str, Array] = {}
    at = 0
    for entry in manifest:
        name, shape = entry["name"], entry["shape"]
        stored, wanted = _types(entry)
        end = at + prod(shape) * stored.itemsize
        if end > len(shard):
            raise GraphError(f"the weights end after {len(shard)} bytes, in the middle of {name}")
        weights[name] = np.frombuffer(shard[at:end], stored).reshape(shape).astype(wanted)
        at = end
    if at != len(shard):
        raise GraphError(f"the weights have {len(shard)} bytes, the manifest describes {at}")
    return weights


def _types(entry: dict[str, Any]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """A weight's type in the file and in the graph."""
    wanted = {"float32": np.dtype("<f4"), "int32": np.dtype("<i4")}.get(entry["dtype"])
    quantized = (entry.get("quantization") or {}).get("dtype")
    stored = wanted if quantized is None else {"float16": np.dtype("<f2")}.get(quantized)
    if wanted is None or stored is None:
        raise GraphError(f"weight {entry['name']} is {entry['dtype']} stored as {quantized}, which is not supported")
    return stored, wanted
