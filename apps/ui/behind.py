"""How far behind each model is. No I/O; the caller keeps threads apart."""

from collections import deque
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
        self._recent: deque[tuple[float, float]] = deque(maxlen=MOST_RESULTS)
        self._unanswered_since: float | None = None

    def frame(self, now: float) -> None:
        """A frame has come."""
        if self._unanswered_since is None:
            self._unanswered_since = now

    def result(self, now: float, delay: float) -> None:
        """A result has come, this many seconds after its frame was captured.

        It is less than 0 where the frame's producer has a clock that is ahead: no delay is known then.
        """
        self._recent.append((now, max(0.0, delay)))
        self._unanswered_since = None

    def seconds(self, now: float) -> float | None:
        """The delay at `now`; None where there has been neither a result nor a frame."""
        while len(self._recent) > 1 and self._recent[0][0] < now - WINDOW_SECONDS:
            self._recent.popleft()
        delays = [median(delay for _, delay in self._recent)] if self._recent else []
        waiting = [now - self._unanswered_since] if self._unanswered_since is not None else []
        return max(delays + waiting, default=None)
