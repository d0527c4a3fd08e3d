"""How far behind each model is. No I/O; the caller keeps threads apart."""

from collections import deque
from collections.abc import Callable
from statistics import median

WINDOW_SECONDS = 10
"""What results of the last seconds say counts; older ones do not."""

MOST_RESULTS = 500
"""The most results whose delay is kept. At a higher rate the window is shorter."""


class Delay:
    """One model's delay, from when its results and the frames come. All times are seconds of `time.monotonic`.

    It is the median delay of the results of the last seconds, so that one producer with a wrong clock does not matter.
    Where no result comes although frames do, it grows with the time since the first of these frames.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float, str]] = deque(maxlen=MOST_RESULTS)
        self._unanswered_since: dict[str, float] = {}
        """By camera, when its first frame came after the last result of any camera."""

    def frame(self, now: float, camera: str) -> None:
        """A camera's frame has come."""
        self._unanswered_since.setdefault(camera, now)

    def result(self, now: float, delay: float, camera: str) -> None:
        """A camera's result has come, this many seconds after its frame was captured.

        It is less than 0 where the frame's producer has a clock that is ahead: no delay is known then.
        """
        self._recent.append((now, max(0.0, delay), camera))
        self._unanswered_since.clear()

    def seconds(self, now: float, sees: Callable[[str], bool]) -> float | None:
        """The delay at `now` of the cameras that are seen; None where they have neither a result nor a frame."""
        while len(self._recent) > 1 and self._recent[0][0] < now - WINDOW_SECONDS:
            self._recent.popleft()
        delays = [delay for _, delay, camera in self._recent if sees(camera)]
        waiting = [now - since for camera, since in self._unanswered_since.items() if sees(camera)]
        return max([*([median(delays)] if delays else []), *waiting], default=None)
