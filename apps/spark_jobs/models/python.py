"""A user's own code as a model: each call goes to a process beside the worker, so nothing that it does ends that."""

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
"""So many calls in a row without an answer, and the code gets a pause."""
PAUSE_SECONDS = 30.0
"""Frames of a pause are set aside at once: code that always hangs would hold a batch up for hours."""


class CallError(Exception):
    """A call that gave no detections, or was not made; the message says why."""


class PythonModel:
    """The code of a folder. Its process is started when it is first needed, and anew after it ended.

    `call_seconds` and `call_memory_mib` are what a call may take, in seconds and MiB of resident memory; `clock` counts
    seconds.
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
        # Now, so that no batch waits for it; where it does not start, each frame is told so.
        with contextlib.suppress(CallError):
            self._child = self._running()

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        """What the code sees. Raises FrameError, AnswerError or CallError; the next frame is tried all the same."""
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
        """Short calls are over before anybody looks; code that leaks slowly is ended between two of them."""
        if (held := child.resident_mib) > self._memory_mib:
            logger.warning("the code held %d MiB after a call, more than %d; it starts anew", held, self._memory_mib)
            self.close()


def started(code: Path, memory_mib: int) -> Child:
    """A process that has the folder's model constructed. Raises CodeError, as a driver should before anything runs."""
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
