"""Thins frames evenly where a model is behind, so that its results stay near the present (ADR 23)."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from statistics import median

from apps.spark_jobs.gate import MAX_CAMERAS
from apps.spark_jobs.spec import JobSpec


class Thinning:
    """Decides which frames a model looks at: all up to a delay of `seconds`, beyond it an even share of each camera's.

    The share is `seconds` divided by the delay. So a model that can look at half of the frames falls behind by twice
    `seconds`, and no further. `clock` returns seconds since 1970. Each process counts for itself.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._seconds, self._clock = seconds, clock
        self._due: OrderedDict[str, float] = OrderedDict()
        """What each camera's frames have added up to since the last one that was looked at, in looks."""

    def share(self, sent_at: Sequence[datetime]) -> float:
        """The share to look at (above 0, at most 1) of frames that were read together, from when they were sent.

        Their median counts, so that one producer with a wrong clock changes nothing for the others.
        """
        if not sent_at:
            return 1.0
        delay = self._clock() - median(moment.timestamp() for moment in sent_at)
        return 1.0 if delay <= self._seconds else self._seconds / delay

    def looks(self, camera: str, share: float) -> bool:
        """Whether the model looks at the camera's next frame."""
        if share >= 1:
            self._due.pop(camera, None)
            return True
        # The first frame is looked at. Ten times 0.1 is less than 1 by a rounding error.
        due = self._due.pop(camera, 1.0 - share) + share + 1e-9
        looks = due >= 1
        self._due[camera] = due - 1 if looks else due
        if len(self._due) > MAX_CAMERAS:
            self._due.popitem(last=False)
        return looks


@cache
def load_thinning(spec: JobSpec) -> Thinning | None:
    """The thinning of this process; None where the model looks at every frame, however late it is."""
    return None if spec.overload_seconds is None else Thinning(seconds=spec.overload_seconds)
