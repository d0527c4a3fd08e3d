"""Quantizes to int8 by NNCF's post-training quantization."""

from collections.abc import Iterable
from itertools import cycle

import numpy as np
import numpy.typing as npt
import openvino as ov

from apps.model_api.jpeg import Image
from apps.spark_jobs.models.placement import Placement

Size = tuple[int, int]
"""Height and width of the network's input in pixels."""

FLOATING = ("Subtract", "Multiply", "SoftMax", "ReduceSum")
"""Operations that stay in floating point: normalization and box decoding, where a step of int8 would be pixels."""


def quantize(model: ov.Model, pictures: Iterable[Image], sizes: Iterable[Size]) -> ov.Model:
    """The model with int8 convolutions, calibrated on the pictures at all `sizes` in turn. Needs NNCF."""
    import nncf

    inputs = [fit(picture, size) for picture, size in zip(pictures, cycle(sizes), strict=False)]
    return nncf.quantize(
        model,
        nncf.Dataset(inputs),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        # A type may be absent from the model, because OpenVINO may have merged it into another.
        ignored_scope=nncf.IgnoredScope(types=list(FLOATING), validate=False),
    )


def fit(picture: Image, size: Size) -> npt.NDArray[np.float32]:
    """The picture as the network's input: letterboxed, (1, 3, height, width), RGB in 0..1."""
    height, width = size
    canvas: Image = np.empty((height, width, 3), np.uint8)
    Placement((picture.shape[1], picture.shape[0]), (width, height)).draw(picture, canvas)
    channels_first = canvas[None, :, :, ::-1].transpose(0, 3, 1, 2)
    return np.ascontiguousarray(channels_first, dtype=np.float32) / np.float32(255)
