"""Motion by frame difference: cheap, without weights, robust to noise and to lights going on or off."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from apps.messages import Detection, Frame, follows
from apps.model_api.jpeg import Image
from apps.spark_jobs.models.thumbnail import thumbnail

LABEL = "motion"
LEAST_CHANGE = 14.0
"""The least change of a pixel, in grey levels of 255, however low the camera's noise."""
NOISE_FACTOR = 6.0
"""The least change of a pixel, in standard deviations of the frame's noise."""
LEAST_AREA = 0.0012
"""The smallest share of the frame that a moving thing covers."""
WHOLE_FRAME = 0.6
"""If a larger share of the frame changed, the light or the camera did, not something in front of it."""
MAX_GAP = timedelta(seconds=60)
"""Frames further apart than this are not compared."""
MAX_CAMERAS = 1024


@dataclass(frozen=True)
class _Seen:
    sequence: int
    captured_at: datetime
    picture: Image


class MotionModel:
    """Compares each frame with the camera's latest one in this process.

    A camera's first frame, and one after a gap, has no motion. A late frame (a lower sequence of the same run) is
    compared too, but does not replace the latest one.
    """

    version = "difference-1"

    def __init__(self, *, score_threshold: float, max_cameras: int = MAX_CAMERAS) -> None:
        self._threshold = score_threshold
        self._max_cameras = max_cameras
        self._latest: OrderedDict[str, _Seen] = OrderedDict()

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """The regions that changed since the camera's previous frame, best first."""
        picture = np.asarray(cv2.GaussianBlur(thumbnail(frame), (5, 5), 0), dtype=np.uint8)
        previous = self._latest.get(frame.camera)
        comparable = (
            previous is not None
            and previous.picture.shape == picture.shape
            and abs(frame.captured_at - previous.captured_at) <= MAX_GAP
        )
        if previous is None or not comparable or follows(frame.sequence, previous.sequence):
            self._remember(frame, picture)
        if previous is None or not comparable:
            return ()
        ratio = (frame.width / picture.shape[1], frame.height / picture.shape[0])
        found = changed_regions(previous.picture, picture)
        return tuple(
            Detection(
                label=LABEL,
                score=score,
                box=(x * ratio[0], y * ratio[1], (x + width) * ratio[0], (y + height) * ratio[1]),
            )
            for score, (x, y, width, height) in sorted(found, reverse=True)
            if score >= self._threshold
        )

    def _remember(self, frame: Frame, picture: Image) -> None:
        self._latest[frame.camera] = _Seen(frame.sequence, frame.captured_at, picture)
        self._latest.move_to_end(frame.camera)
        if len(self._latest) > self._max_cameras:
            self._latest.popitem(last=False)


def changed_regions(before: Image, after: Image) -> list[tuple[float, tuple[int, int, int, int]]]:
    """Score and rectangle (x, y, width, height) of every region of `after` that differs from `before`."""
    change = _without_light(before.astype(np.float32), after.astype(np.float32))
    noise = 1.4826 * float(np.median(change))
    limit = max(LEAST_CHANGE, NOISE_FACTOR * noise)
    mask = (change > limit).astype(np.uint8)
    if mask.mean() > WHOLE_FRAME:
        return []
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    grown = cv2.dilate(opened, np.ones((5, 5), np.uint8))
    contours, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    regions = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        inside = change[y : y + height, x : x + width]
        inside = inside[inside > limit]
        if inside.size >= LEAST_AREA * mask.size:
            mean = float(inside.mean())
            regions.append((mean / (mean + limit), (x, y, width, height)))
    return regions


def _without_light(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Absolute change per pixel at equal brightness: `before` is scaled (gain), then the remaining offset removed."""
    gain = float(np.median(after) + 1) / float(np.median(before) + 1)
    change = after - before * min(max(gain, 0.25), 4.0)
    return np.asarray(np.abs(change - np.median(change)), dtype=np.float32)
