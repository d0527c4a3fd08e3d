"""One camera's thread: open, read at its rate, encode, send; wait and retry when the camera is down."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from apps.messages import Frame, first_sequence
from apps.producer import metrics
from apps.producer.image import prepare
from apps.producer.ledger import Ledger
from apps.producer.pace import Backoff, Pace
from apps.producer.sender import Sender
from apps.producer.settings import Camera
from apps.producer.sources import CorruptImage, NoPicture, OversizeImage, Shot, Source, SourceError

log = logging.getLogger(__name__)

State = Literal["connecting", "streaming", "stalled", "backoff"]
"""`stalled`: connected, but without a picture that can be used."""

_STALLED_SECONDS = 10.0
"""After this long without a picture that can be used, or two of its frames' intervals, a camera is stalled."""
_ENDURED_SECONDS = 60.0
"""A camera that sends no picture for this long is connected to again. Key frames can be nearly as far apart."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """A camera's state."""

    state: State
    error: str | None


class CameraWorker:
    """Reads one camera until told to stop or to release it to another producer. Its errors stay in its own thread.

    `stopping` belongs to this worker and its source alone: it ends no other camera.
    """

    def __init__(
        self,
        camera: Camera,
        open_source: Callable[[], Source],
        sender: Sender,
        stopping: threading.Event,
        *,
        phase: float = 0.0,
        max_frame_bytes: int,
        backoff: Backoff | None = None,
    ) -> None:
        self.camera = camera
        self._open = open_source
        self._sender = sender
        self._stopping = stopping
        self._max_frame_bytes = max_frame_bytes
        self._backoff = backoff or Backoff()
        self._pace = Pace(camera.frames_per_second, phase, time.monotonic())
        self.released = False
        self._new_run(first_sequence(datetime.now(UTC)))

    def start(self) -> None:
        """Start reading the camera, unless it has already been stopped."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end after its current frame."""
        self._stopping.set()

    def release(self) -> None:
        """Release the camera to another producer."""
        self.released = True
        self.stop()

    def take_back(self) -> None:
        """Read a released camera again, in a new run of sequence numbers. Its old thread must have ended."""
        self._stopping.clear()
        # If the clock was set back meanwhile, its number may be one that the last run has given.
        self._new_run(max(first_sequence(datetime.now(UTC)), self.ledger.next_sequence))
        self.released = False
        self.start()

    @property
    def reading(self) -> bool:
        """Whether it may still send a frame."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait for the thread to end, at most this long."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _new_run(self, first: int) -> None:
        self.ledger = Ledger(first)
        self.status = Status(state="connecting", error=None)
        self._thread = threading.Thread(target=self._run, name=f"camera-{self.camera.name}", daemon=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn("connecting", self.status.error)
            try:
                with self._open() as source:
                    self._stream(source)
            except SourceError as lost:
                self._wait(str(lost))
            except Exception as unforeseen:
                # No error of a decoder may end this camera for good. Its message may hold the URL with the login, so
                # only its place in the code is logged.
                place = "".join(traceback.format_tb(unforeseen.__traceback__))
                log.error("%s: unforeseen trouble: %s at\n%s", self.camera.name, type(unforeseen).__name__, place)
                self._wait(type(unforeseen).__name__)
        metrics.STREAMING.labels(self.camera.name).set(0)

    def _stream(self, source: Source) -> None:
        self._last_usable = time.monotonic()
        while not self._stopping.is_set():
            due = self._pace.next_due(time.monotonic())
            try:
                shot = source.read(self.ledger.next_sequence, due)
                if shot is None:
                    return
                self._hand_over(shot)
            except CorruptImage as corrupt:
                self._reject("corrupt", corrupt)
            except OversizeImage as oversize:
                self._reject("oversize", oversize)
            except NoPicture as none:
                if time.monotonic() > self._last_usable + _ENDURED_SECONDS:
                    raise
                log.warning("%s: %s", self.camera.name, none)
                self._turn("stalled", str(none))
            else:
                self._last_usable = time.monotonic()
                self._backoff.reset()
                self._turn("streaming", None)

    def _hand_over(self, shot: Shot) -> None:
        encoded = prepare(shot.image, self.camera, self._max_frame_bytes)
        if len(encoded.jpeg) > self._max_frame_bytes:
            raise OversizeImage(f"{len(encoded.jpeg)} bytes, {self._max_frame_bytes} are allowed")
        name = self.camera.name
        frame = Frame(
            camera=name,
            sequence=self.ledger.next_sequence,
            captured_at=shot.captured_at,
            width=encoded.width,
            height=encoded.height,
            jpeg=encoded.jpeg,
        )
        # The identity is given before sending, because the answer can come before `send` returns. Only this thread
        # gives identities, and a frame that is not taken is the last of its run.
        size, ledger = len(encoded.jpeg), self.ledger
        ledger.give()
        taken = self._sender.send(frame, lambda delivered: self._book(ledger, frame.sequence, size, delivered))
        if not taken:
            ledger.take_back()

    def _book(self, ledger: Ledger, sequence: int, size: int, delivered: bool) -> None:
        """Record an answer. It may come after a new run has begun, so `ledger` is that of the frame's run."""
        ledger.settle(sequence, delivered=delivered)
        if delivered:
            metrics.FRAMES.labels(self.camera.name).inc()
            metrics.BYTES.labels(self.camera.name).inc(size)
        else:
            metrics.FAILED.labels(self.camera.name).inc()

    def _reject(self, reason: str, why: Exception) -> None:
        log.warning("%s: an image was set aside (%s): %s", self.camera.name, reason, why)
        metrics.REJECTED.labels(self.camera.name, reason).inc()
        patience = max(_STALLED_SECONDS, 2 * self._pace.interval)
        if self.status.state != "streaming" or time.monotonic() > self._last_usable + patience:
            self._turn("stalled", str(why))

    def _wait(self, error: str) -> None:
        seconds = self._backoff.wait()
        log.warning("%s: %s; again in %.1f s", self.camera.name, error, seconds)
        metrics.RETRIES.labels(self.camera.name).inc()
        self._turn("backoff", error)
        self._stopping.wait(seconds)

    def _turn(self, state: State, error: str | None) -> None:
        self.status = Status(state=state, error=error)
        metrics.STREAMING.labels(self.camera.name).set(state == "streaming")
