"""Looks where something moved: a still frame's result carries the detections of the frame it is like (ADR 21)."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from apps.messages import STILL, Detection, Frame, Skipped, follows
from apps.model_api.jpeg import Image
from apps.spark_jobs.models.stillness import still, view_of
from apps.spark_jobs.spec import JobSpec

MAX_CAMERAS = 1024
"""The most cameras that a worker keeps in mind; a reference of one takes about 20 kB."""
MAX_AGE_SECONDS = 60.0
"""A reference is not used for longer than this after it was made, whatever the capture times say."""

Detections = tuple[Detection, ...]


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """The camera's last frame that the model looked at; `made_at` is the clock's time in seconds."""

    sequence: int
    captured_at: datetime
    size: tuple[int, int]
    view: Image
    detections: Detections
    made_at: float


class Gate:
    """Keeps each camera's last frame that the model looked at in this process, and decides which frames are like it.

    A frame is compared with that frame, not with the one before, so that slow changes add up until the model looks.
    Where there is no such frame (the camera's frames went to another process before, or the model failed), the model
    looks. `seconds` is the longest capture time between two looks; `clock` returns seconds.
    """

    def __init__(
        self,
        *,
        seconds: float,
        ungated_cameras: tuple[str, ...] = (),
        max_cameras: int = MAX_CAMERAS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._longest = timedelta(seconds=seconds)
        self._ungated = frozenset(ungated_cameras)
        self._max_cameras, self._clock = max_cameras, clock
        self._references: OrderedDict[str, _Reference] = OrderedDict()

    def detect(self, frame: Frame, look: Callable[[Frame], Detections]) -> tuple[Detections, Skipped | None]:
        """The frame's detections, and None if `look` found them in this frame. Raises what `look` raises."""
        if frame.camera in self._ungated:
            return look(frame), None
        view, reference = view_of(frame), self._reference(frame.camera)
        if reference is not None and self._is_like(frame, view, reference):
            return reference.detections, Skipped(reason=STILL, carried_from=reference.sequence)
        try:
            detections = look(frame)
        except Exception:
            self._references.pop(frame.camera, None)
            raise
        # A late frame, of a batch that is run again, does not replace the reference.
        if reference is None or follows(frame.sequence, reference.sequence):
            self._keep(frame, view, detections)
        return detections, None

    def _reference(self, camera: str) -> _Reference | None:
        reference = self._references.get(camera)
        if reference is None or self._clock() - reference.made_at > MAX_AGE_SECONDS:
            return None
        return reference

    def _is_like(self, frame: Frame, view: Image, reference: _Reference) -> bool:
        return (
            frame.sequence > reference.sequence
            and timedelta(0) <= frame.captured_at - reference.captured_at < self._longest
            and (frame.width, frame.height) == reference.size
            and still(reference.view, view)
        )

    def _keep(self, frame: Frame, view: Image, detections: Detections) -> None:
        self._references[frame.camera] = _Reference(
            sequence=frame.sequence,
            captured_at=frame.captured_at,
            size=(frame.width, frame.height),
            view=view,
            detections=detections,
            made_at=self._clock(),
        )
        self._references.move_to_end(frame.camera)
        if len(self._references) > self._max_cameras:
            self._references.popitem(last=False)


@cache
def load_gate(spec: JobSpec) -> Gate | None:
    """The gate of this process; None where the job looks at every frame. Cached for the same reason as the model."""
    if spec.gate_seconds is None:
        return None
    return Gate(seconds=spec.gate_seconds, ungated_cameras=spec.ungated_cameras)
