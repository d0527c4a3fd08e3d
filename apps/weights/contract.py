"""A network's input and output, in the terms of the stack's configuration. Imports only the standard library."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

Task = Literal["detect", "segment", "pose", "obb", "classify"]
Layout = Literal["NCHW", "NHWC"]
Colour = Literal["RGB", "BGR", "GREY"]
Fit = Literal["letterbox", "stretch", "crop"]
Output = Literal["anchors", "objectness", "end2end", "rtdetr", "queries", "classes"]
Precision = Literal["auto", "int8", "bf16", "fp32"]


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The scores below which detections are dropped: in general (None: not set), and for labels that differ."""

    default: float | None = None
    by_label: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The input and output of a user's own network, as far as the weights' metadata do not say it.

    Each field's text is its documentation in docs/config.md.
    """

    # For pydantic, which reads this class in the stack's configuration and in the driver's settings.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    task: Annotated[Task | None, "What the network does."] = None
    names: Annotated[tuple[str, ...] | None, "Names of its classes, in their order."] = None
    layout: Annotated[Layout | None, "Order of the input's dimensions."] = None
    colour: Annotated[Colour | None, "Order of the input's channels."] = None
    mean: Annotated[
        tuple[float, ...] | None, "Subtracted from each channel of 0..255, in the input's order; unset: 0."
    ] = None
    scale: Annotated[tuple[float, ...] | None, "What each channel is divided by after that; 255 makes it 0..1."] = None
    fit: Annotated[
        Fit | None,
        "How a frame becomes the input: letterbox keeps its shape, on grey; stretch fills the input; crop takes the "
        "middle of a frame whose shorter side fits.",
    ] = None
    output: Annotated[
        Output | None,
        "Layout of the answer. anchors: [1, 4 + classes + more, N] of centre and size in input pixels and a score a "
        "class; objectness: [1, N, 5 + classes] of the same with an objectness before the classes; end2end: "
        "[1, N, 6 + more] of corners in input pixels, score and class; rtdetr: [1, N, 6] of centre and size in 0..1, "
        "score and class; queries: [1, N, 4 + classes] of centre and size in 0..1 and a score a class; classes: "
        "[1, classes].",
    ] = None
    keypoints: Annotated[
        tuple[int, int] | None, "Of a pose: how many keypoints, and of how many numbers each (2 or 3)."
    ] = None

    def stated(self) -> dict[str, Any]:
        """The fields that are set, by name."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}
