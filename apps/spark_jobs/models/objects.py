"""A network on OpenVINO, for detection, segmentation, pose estimation or classification."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from apps.messages import Detection, Frame
from apps.model_api.jpeg import decode
from apps.spark_jobs.models.errors import AnswerError
from apps.spark_jobs.models.heads import Candidates, Floats, read_head
from apps.spark_jobs.models.masks import outline
from apps.spark_jobs.models.placement import Placement
from apps.spark_jobs.spec import JobSpec
from apps.weights import Weights, WeightsError, read_weights, resized

FloatPrecision = Literal["bf16", "fp32"]

MOST_SHAPES = 8
"""Compiled networks that a worker keeps, about 20 MiB each: cameras have few frame shapes."""


class _Network:
    """The network compiled for one input size, with its input image (`canvas`)."""

    def __init__(self, weights: Weights, threads: int, device: str, precision: FloatPrecision) -> None:
        self.weights = weights
        self.target = (weights.width, weights.height)
        channels = 1 if weights.colour == "GREY" else 3
        self.canvas = np.empty((1, weights.height, weights.width, channels), dtype=np.uint8)
        self._request = _compile(weights, threads, device, precision).create_infer_request()

    def infer(self) -> list[Floats]:
        """Run the network on the canvas; its outputs without the batch dimension."""
        answers = self._request.infer({0: self.canvas}, share_inputs=True, share_outputs=True)
        return [np.asarray(answers[place][0], dtype=np.float32) for place in range(len(answers))]


class ObjectsModel:
    """One network, run on one frame at a time.

    On one CPU thread a batch is no faster (38 frames/s against 40 in batches of 16, YOLO26n at 320 px), and would need
    an export with a variable batch size.
    """

    def __init__(
        self, weights: Weights, *, score_threshold: float, threads: int, device: str, precision: FloatPrecision
    ) -> None:
        computes = "int8" if weights.quantized else precision
        self.version = f"{weights.content}-{weights.width}x{weights.height}-{computes}"
        self._weights = weights
        self._threshold = score_threshold
        self._grey = weights.colour == "GREY"
        # A network that accepts any size is compiled for each frame shape.
        self._network = lru_cache(MOST_SHAPES)(lambda sized: _Network(sized, threads, device, precision))
        self._network(weights)

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """The objects in the frame, best first; a classifier's classes have the whole frame as their box."""
        network = self._network(self._weights.fitted((frame.width, frame.height)))
        placement = Placement((frame.width, frame.height), network.target, self._weights.fit)
        placement.draw(decode(frame, network.target, grey=self._grey), network.canvas[0])
        outputs = network.infer()
        if self._weights.task == "classify":
            return self._classes(outputs[0], placement)
        rows = next(output for output in outputs if output.ndim == 2)
        found = read_head(rows, network.weights, self._threshold)
        for number in found.classes:
            if not 0 <= number < len(self._weights.names):
                raise AnswerError(f"the network answers class {number}, and has {len(self._weights.names)} classes")
        return tuple(self._described(found, placement, outputs))

    def _described(self, found: Candidates, placement: Placement, outputs: list[Floats]) -> Iterator[Detection]:
        for index in range(len(found.scores)):
            label = self._weights.names[found.classes[index]]
            score = min(1.0, float(found.scores[index]))
            box, more = found.boxes[index], found.more[index]
            if self._weights.task == "obb":
                yield _oriented(label, score, box, float(more[0]), placement)
                continue
            polygon: tuple[tuple[float, float], ...] = ()
            if self._weights.task == "segment":
                points = outline(more, next(each for each in outputs if each.ndim == 3), box, placement.target)
                if not len(points):
                    continue
                polygon = tuple((float(x), float(y)) for x, y in placement.to_frame(points))
            yield Detection(
                label=label,
                score=score,
                box=_edges(placement.to_frame(box)),
                polygon=polygon,
                keypoints=self._keypoints(more, placement),
            )

    def _keypoints(self, more: Floats, placement: Placement) -> tuple[tuple[float, float, float], ...]:
        if self._weights.keypoints is None:
            return ()
        points = more.reshape(self._weights.keypoints)
        places = placement.to_frame(points[:, :2])
        # A network with two numbers per keypoint gives no confidence.
        sure = points[:, 2] if points.shape[1] > 2 else np.ones(len(points), dtype=np.float32)
        return tuple((float(x), float(y), float(score)) for (x, y), score in zip(places, sure, strict=True))

    def _classes(self, scores: Floats, placement: Placement) -> tuple[Detection, ...]:
        whole = (0.0, 0.0, float(placement.frame[0]), float(placement.frame[1]))
        best = [number for number in np.argsort(-scores, kind="stable") if scores[number] >= self._threshold]
        return tuple(
            Detection(label=self._weights.names[number], score=min(1.0, float(scores[number])), box=whole)
            for number in best
        )


def _oriented(label: str, score: float, box: Floats, angle: float, placement: Placement) -> Detection:
    """An oriented box: its corners as the polygon, and their bounding box clipped to the frame."""
    along = np.array([np.cos(angle), np.sin(angle)], dtype=np.float32) * box[2] / 2
    across = np.array([-np.sin(angle), np.cos(angle)], dtype=np.float32) * box[3] / 2
    corners = np.stack(
        [box[:2] + along + across, box[:2] + along - across, box[:2] - along - across, box[:2] - along + across]
    )
    placed = placement.to_frame(corners, cut=False)
    low, high = np.clip(placed.min(axis=0), 0, placement.frame), np.clip(placed.max(axis=0), 0, placement.frame)
    return Detection(
        label=label,
        score=score,
        box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        polygon=tuple((float(x), float(y)) for x, y in placed),
        angle=angle,
    )


def _edges(box: Floats) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return x1, y1, x2, y2


def choose_weights(spec: JobSpec) -> tuple[Weights, FloatPrecision]:
    """The job's weights and the precision of its floating-point layers: as the job says, or what this CPU is fast at.

    Raises WeightsError.
    """
    fast = capabilities(spec.device)
    if spec.precision == "bf16" and "BF16" not in fast:
        raise WeightsError("precision: this machine's CPU does not compute in bf16; choose auto, int8 or fp32")
    floats: FloatPrecision = "bf16" if "BF16" in fast and spec.precision != "fp32" else "fp32"
    weights = read_weights(
        spec.weights, spec.contract, size=spec.size, precision=spec.precision, fast_int8="INT8" in fast
    )
    return weights, floats


def capabilities(device: str) -> list[str]:
    """The precisions that a device computes fast: BF16 on a CPU with AMX or avx512_bf16, INT8 on one with VNNI.

    Raises WeightsError if this machine, or this image, has no such device.
    """
    try:
        found: list[str] = ov.Core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as absent:
        there = ", ".join(ov.Core().available_devices)
        raise WeightsError(f"device: OpenVINO finds no {device} here, only {there}: choose one of them") from absent
    return found


def _compile(weights: Weights, threads: int, device: str, precision: FloatPrecision) -> ov.CompiledModel:
    core = ov.Core()
    # The input is the frame as decoded: the conversions are compiled into the graph.
    prepare = PrePostProcessor(resized(core.read_model(weights.network), weights))
    image = prepare.input()
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.model().set_layout(ov.Layout(weights.layout))
    steps = image.preprocess().convert_element_type(ov.Type.f32)
    if weights.colour != "GREY":
        image.tensor().set_color_format(ColorFormat.BGR)
        steps = steps.convert_color(ColorFormat.RGB if weights.colour == "RGB" else ColorFormat.BGR)
    channels = 1 if weights.colour == "GREY" else 3
    steps.mean(_each(weights.mean, channels)).scale(_each(weights.scale, channels))
    options: dict[str, str | bool] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        # In a quantized network this concerns the layers left in floating point.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    if device == "CPU":
        # With pinning, all worker processes of a machine would pin themselves to the same first core.
        options |= {"INFERENCE_NUM_THREADS": str(threads), "ENABLE_CPU_PINNING": False}
    try:
        return core.compile_model(prepare.build(), device, options)
    except RuntimeError as refused:
        lines = [line.strip() for line in str(refused).splitlines() if line.strip()]
        raise WeightsError(f"device: {device} does not run {weights.network}: {lines[-1]}") from refused


def _each(numbers: tuple[float, ...], channels: int) -> list[float]:
    return list(numbers) * channels if len(numbers) == 1 else list(numbers)
