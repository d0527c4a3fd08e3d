"""The models, each behind the same small interface, and the one instance that a worker process keeps."""

import math
from functools import cache
from itertools import chain
from typing import Protocol

from apps.messages import Detection, Frame
from apps.spark_jobs.models.errors import AnswerError
from apps.spark_jobs.models.wanted import Wanted
from apps.spark_jobs.spec import JobSpec

__all__ = ["AnswerError", "CheckedModel", "Model", "load_model"]


class Model(Protocol):
    """What a job asks of a model."""

    @property
    def version(self) -> str:
        """What results carry, so that each says which weights, size and precision or which code it is of."""

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """What the model sees in the frame. Raises FrameError where the frame holds no usable image."""


class CheckedModel:
    """A model whose answers are looked at: what is not wanted is dropped, what is no number is refused."""

    def __init__(self, model: Model, wanted: Wanted) -> None:
        self._model, self._wanted = model, wanted

    @property
    def version(self) -> str:
        """The model's own."""
        return self._model.version

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """The model's answer, what is wanted of it. Raises AnswerError for a score or place that is no number."""
        found = self._model.detect(frame)
        for one in found:
            numbers = chain((one.score, one.angle or 0.0), one.box, *one.polygon, *one.keypoints)
            if not all(map(math.isfinite, numbers)):
                raise AnswerError(f"a {one.label!r} with a score, box or point that is no finite number: {one}")
        return self._wanted.kept(found)


@cache
def load_model(spec: JobSpec) -> Model:
    """The model of this process, compiled at the first call.

    The cache lives in an importable module on purpose: in the driver's script it would be pickled with the
    query and every task would compile the model again.
    """
    wanted = Wanted.of(spec)
    return CheckedModel(_model(spec, wanted), wanted)


def _model(spec: JobSpec, wanted: Wanted) -> Model:
    if spec.kind == "motion":
        from apps.spark_jobs.models.motion import MotionModel

        return MotionModel(score_threshold=wanted.lowest)
    if spec.kind == "python":
        from apps.spark_jobs.models.python import PythonModel

        return PythonModel(spec.code, call_seconds=spec.call_seconds, call_memory_mib=spec.call_memory_mib)
    from apps.spark_jobs.models.objects import ObjectsModel

    return ObjectsModel.load(spec, score_threshold=wanted.lowest)
