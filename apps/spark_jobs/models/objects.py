"""An Ultralytics YOLO detector, run by OpenVINO on the CPU."""

import numpy as np
import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from apps.messages import Detection, Frame
from apps.spark_jobs.jpeg import decode
from apps.spark_jobs.models.candidates import Candidates, Floats, from_anchors, from_end2end
from apps.spark_jobs.models.export import Export, ModelError
from apps.spark_jobs.models.letterbox import Letterbox


class ObjectsModel:
    """One compiled detector. Frames go through one at a time.

    On one CPU thread a batch is no faster (38 frames/s against 40 in batches of 16, YOLO26n at 320 px) and would
    ask of the user's export that its batch size can change.
    """

    def __init__(self, export: Export, *, score_threshold: float, threads: int) -> None:
        self.version = export.version
        self._names = export.names
        self._threshold = score_threshold
        self._target = (export.width, export.height)
        self._canvas = np.empty((1, export.height, export.width, 3), dtype=np.uint8)
        self._request = _compile(export, threads).create_infer_request()
        self._end2end = _is_end2end(export, self._request.get_output_tensor(0).shape)

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """The objects in the frame, best first."""
        letterbox = Letterbox((frame.width, frame.height), self._target)
        letterbox.fit(decode(frame, self._target), self._canvas[0])
        output: Floats = self._request.infer({0: self._canvas}, share_inputs=True, share_outputs=True)[0][0]
        found = self._candidates(output)
        boxes = letterbox.to_frame(found.boxes).tolist()
        return tuple(
            Detection(label=self._names[number], score=min(1.0, float(score)), box=tuple(box))
            for number, score, box in zip(found.classes, found.scores, boxes, strict=True)
        )

    def _candidates(self, output: Floats) -> Candidates:
        return (from_end2end if self._end2end else from_anchors)(output, self._threshold)


def _compile(export: Export, threads: int) -> ov.CompiledModel:
    core = ov.Core()
    model = core.read_model(export.xml)
    if len(model.inputs) != 1 or model.input(0).partial_shape.rank.get_length() != 4:
        raise ModelError(f"{export.xml} does not take one image")
    model.reshape([1, 3, export.height, export.width])
    # The frame goes in as it was decoded; the conversions become part of the compiled graph.
    prepare = PrePostProcessor(model)
    prepare.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(
        ColorFormat.BGR
    )
    prepare.input().model().set_layout(ov.Layout("NCHW"))
    prepare.input().preprocess().convert_element_type(ov.Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    return core.compile_model(
        prepare.build(),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            # Pinned, every worker process on a machine would pin itself to the same first core.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if "BF16" in _capabilities(core) else "f32",
        },
    )


def _capabilities(core: ov.Core) -> list[str]:
    """What the CPU does natively: OpenVINO lists BF16 where it has AMX or avx512_bf16."""
    capabilities: list[str] = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return capabilities


def _is_end2end(export: Export, shape: list[int]) -> bool:
    if len(shape) == 3 and shape[2] == 6:
        return True
    if len(shape) == 3 and shape[1] == 4 + len(export.names):
        return False
    raise ModelError(
        f"{export.xml} has the output {list(shape)}; a detector of {len(export.names)} classes has "
        f"[1, N, 6] or [1, {4 + len(export.names)}, N]"
    )
