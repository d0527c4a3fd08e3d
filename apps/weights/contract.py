"""What a network takes and gives, in the words of the stack's configuration. Nothing here imports more than Python."""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

Task = Literal["detect", "segment", "pose", "obb", "classify"]
Layout = Literal["NCHW", "NHWC"]
Colour = Literal["RGB", "BGR", "GREY"]
Fit = Literal["letterbox", "stretch", "crop"]
Output = Literal["anchors", "objectness", "end2end", "rtdetr", "classes"]
Precision = Literal["auto", "int8", "bf16", "fp32"]


def _said(description: str) -> Any:
    return field(default=None, metadata={"description": description})


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a network of your own takes and gives, where the weights' own metadata does not say it."""

    # For pydantic, which reads this class in the stack's configuration and in the driver's settings.
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    task: Task | None = _said("What the network does.")
    names: tuple[str, ...] | None = _said("Names of its classes, in their order.")
    layout: Layout | None = _said("Order of the input's dimensions; unset: NCHW.")
    colour: Colour | None = _said("Order of the input's channels; unset: RGB, or GREY where there is one.")
    mean: tuple[float, ...] | None = _said("Subtracted from each channel of 0..255, in the input's order; unset: 0.")
    scale: tuple[float, ...] | None = _said("What each channel is divided by after that; unset: 255.")
    fit: Fit | None = _said(
        "How a frame becomes the input: letterbox keeps its shape, on grey; stretch fills the input; crop takes the "
        "middle. Unset: crop to classify, stretch for the output rtdetr, else letterbox."
    )
    output: Output | None = _said(
        "Layout of the answer. anchors: [1, 4 + classes + more, N] of centre and size in input pixels and a score a "
        "class; objectness: [1, N, 5 + classes] of the same with an objectness before the classes; end2end: "
        "[1, N, 6 + more] of corners in input pixels, score and class; rtdetr: [1, N, 4 + classes] of centre and size in "
        "0..1; classes: [1, classes]."
    )
    keypoints: tuple[int, int] | None = _said("Of a pose: how many keypoints, and of how many numbers each (2 or 3).")

    def stated(self) -> dict[str, Any]:
        """What it says, by name; nothing where it says nothing."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}
