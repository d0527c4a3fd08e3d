"""The models, each behind the same small interface, and the one instance that a worker process keeps."""

from functools import cache
from typing import Protocol

from apps.messages import Detection, Frame
from apps.spark_jobs.spec import JobSpec


class Model(Protocol):
    """What a job asks of a model."""

    version: str

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """What the model sees in the frame. Raises FrameError where the frame holds no usable image."""


@cache
def load_model(spec: JobSpec) -> Model:
    """The model of this process, compiled at the first call.

    The cache lives in an importable module on purpose: in the driver's script it would be pickled with the
    query and every task would compile the model again.
    """
    if spec.kind == "motion":
        from apps.spark_jobs.models.motion import MotionModel

        return MotionModel(score_threshold=spec.score_threshold)
    from apps.spark_jobs.models.export import read_export
    from apps.spark_jobs.models.objects import ObjectsModel

    return ObjectsModel(read_export(spec.weights), score_threshold=spec.score_threshold, threads=spec.threads)
