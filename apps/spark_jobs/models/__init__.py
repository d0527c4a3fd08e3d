"""The models behind one small interface, and the one instance that each worker process keeps."""

from functools import cache
from typing import Protocol

from apps.messages import Detection, Frame, detection_from_document
from apps.spark_jobs.models.errors import AnswerError
from apps.spark_jobs.models.wanted import Wanted
from apps.spark_jobs.spec import JobSpec
from apps.weights.contract import Thresholds

__all__ = ["AnswerError", "CheckedModel", "Model", "load_model"]

EVERYTHING = Thresholds(default=0.0)
"""For a user's own code, which decides by itself which detections are sure enough."""


class Model(Protocol):
    """What a job requires of a model."""

    @property
    def version(self) -> str:
        """Identifies the weights, size and precision, or the code, in every result."""

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """What the model sees in the frame. Raises FrameError where the frame holds no usable image."""


class CheckedModel:
    """Wraps a model and checks its answers: drops detections that are not wanted, refuses unreadable ones."""

    def __init__(self, model: Model, wanted: Wanted) -> None:
        self._model, self._wanted = model, wanted

    @property
    def version(self) -> str:
        """The model's own version."""
        return self._model.version

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """The model's wanted detections. Raises AnswerError for a score or coordinate that is not a number."""
        found = self._model.detect(frame)
        for one in found:
            try:
                detection_from_document(one.document)
            except (ValueError, TypeError, OverflowError) as unusable:
                raise AnswerError(f"a detection that cannot be read: {unusable}: {one}") from unusable
        return self._wanted.kept(found)


@cache
def load_model(spec: JobSpec) -> Model:
    """The model of this process, compiled at the first call.

    The cache must live in an importable module: in the driver's script it would be pickled with the query, and every
    task would compile the model again.
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
