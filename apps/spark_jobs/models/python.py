"""A user's own code as a model, run in a process beside the worker so that no fault of it ends the worker."""

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.messages import Detection, Frame, FrameError, detection_from_document
from apps.model_api.loading import code_version
from apps.spark_jobs.models import AnswerError
from apps.spark_jobs.models.child_process import CallEndedError, Child, CodeError

logger = logging.getLogger(__name__)

IN_A_ROW = 3
"""After this many calls in a row without an answer, the code is paused."""
PAUSE_SECONDS = 30.0
"""During a pause frames are rejected at once, because code that always hangs would delay a batch for hours."""


class CallError(Exception):
    """A call failed or was not made; the message says why."""


class PythonModel:
    """The code in a folder. Its process is started at once, and restarted for the next frame after it has ended.

    `call_seconds` and `call_memory_mib` limit a call's time and resident memory (MiB); `clock` returns seconds.
    """

    def __init__(
        self,
        code: Path,
        *,
        call_seconds: float,
        call_memory_mib: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = code_version(code)
        self._code, self._clock = code, clock
        self._call_seconds, self._memory_mib = call_seconds, call_memory_mib
        self._child: Child | None = None
        self._ended_in_a_row = 0
        self._paused_until, self._reason = clock(), ""
        # Started now, so that no batch waits for it. If that fails, each frame is rejected with the reason.
        with contextlib.suppress(CallError):
            self._child = self._running()

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """The code's detections. Raises FrameError, AnswerError or CallError; the next frame can still succeed."""
        child, self._child = self._running(), None
        try:
            said = child.ask(frame, self._call_seconds)
        except CallEndedError as ended:
            self._ended_in_a_row += 1
            if self._ended_in_a_row >= IN_A_ROW:
                self._pause(str(ended))
            raise CallError(str(ended)) from ended
        self._child, self._ended_in_a_row = child, 0
        self._end_where_it_grew(child)
        return _detections(said)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _running(self) -> Child:
        if self._child is not None:
            return self._child
        if self._clock() < self._paused_until:
            raise CallError(f"not called, for {PAUSE_SECONDS:g} s, because {self._reason}")
        try:
            return started(self._code, self._memory_mib)
        except CodeError as refused:
            self._pause(str(refused))
            raise CallError(str(refused)) from refused

    def _pause(self, reason: str) -> None:
        self._paused_until, self._reason = self._clock() + PAUSE_SECONDS, reason
        logger.error("the code gets a pause of %g s: %s", PAUSE_SECONDS, reason)

    def _end_where_it_grew(self, child: Child) -> None:
        """Ends code that leaks slowly: its calls can be too short for the checks during a call."""
        if (held := child.resident_mib) > self._memory_mib:
            logger.warning("the code held %d MiB after a call, more than %d; it starts again", held, self._memory_mib)
            self.close()


def started(code: Path, memory_mib: int) -> Child:
    """Start a process and wait until it has constructed the folder's model. Raises CodeError."""
    if not code.is_dir():
        raise CodeError(f"{code} is not in this image")
    child = Child(code, memory_mib)
    child.wait_until_ready()
    return child


def _detections(said: dict[str, Any]) -> tuple[Detection, ...]:
    if "unusable" in said:
        raise FrameError(said["unusable"])
    if "wrong" in said:
        raise AnswerError(said["wrong"])
    if "detections" not in said:
        raise CallError(str(said.get("raised", said)))
    return tuple(detection_from_document(document) for document in said["detections"])
