"""The models, each behind the same small interface, and the one instance that a worker process keeps."""

from functools import cache
from typing import Protocol

from apps.messages import Detection, Frame, detection_from_document
from apps.spark_jobs.models.errors import AnswerError
from apps.spark_jobs.models.wanted import Wanted
from apps.spark_jobs.spec import JobSpec
from apps.weights.contract import Thresholds

__all__ = ["AnswerError", "CheckedModel", "Model", "load_model"]

EVERYTHING = Thresholds(default=0.0)
"""A user's own code says by itself what is sure enough."""


class Model(Protocol):
    """What a job asks of a model."""

    @property
    def version(self) -> str:
        """What results carry, so that each says which weights, size and precision or which code it is of."""

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """What the model sees in the frame. Raises FrameError where the frame holds no usable image."""


class CheckedModel:
    """A model whose answers are looked at: what is not wanted is dropped, what no reader would take is refused."""

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
            try:
                detection_from_document(one.document)
            except (ValueError, TypeError, OverflowError) as unusable:
                raise AnswerError(f"a detection that nobody could read: {unusable}: {one}") from unusable
        return self._wanted.kept(found)


@cache
def load_model(spec: JobSpec) -> Model:
    """The model of this process, compiled at the first call.

    The cache lives in an importable module on purpose: in the driver's script it would be pickled with the
    query and every task would compile the model again.
    """
    if spec.kind == "motion":
        from apps.spark_jobs.models.motion import MotionModel

        wanted = Wanted.of(spec, Thresholds())
        return CheckedModel(MotionModel(score_threshold=wanted.lowest), wanted)
    if spec.kind == "python":
        from apps.spark_jobs.models.python import PythonModel

        code = PythonModel(spec.code, call_seconds=spec.call_seconds, call_memory_mib=spec.call_memory_mib)
        return CheckedModel(code, Wanted.of(spec, EVERYTHING))
    from apps.spark_jobs.models.objects import ObjectsModel, choose_weights

    weights, precision = choose_weights(spec)
    wanted = Wanted.of(spec, weights.thresholds)
    network = ObjectsModel(
        weights, score_threshold=wanted.lowest, threads=spec.threads, device=spec.device, precision=precision
    )
    return CheckedModel(network, wanted)
