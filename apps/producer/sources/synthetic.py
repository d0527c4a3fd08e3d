"""`synthetic://`: rendered scenes that depend only on the camera's name and the frame's sequence."""

import threading
import time
from datetime import UTC, datetime

from apps.producer.sources.base import Closing, Shot
from apps.scenes import render


class SyntheticSource(Closing):
    """Renders a frame when it is due."""

    def __init__(self, camera: str, width: int, stopping: threading.Event) -> None:
        self._camera = camera
        self._width, self._height = width, round(width * 9 / 16)
        self._stopping = stopping

    def read(self, sequence: int, due: float) -> Shot | None:
        """Wait until `due` and render the scene at `sequence`."""
        if self._stopping.wait(max(0.0, due - time.monotonic())):
            return None
        captured_at = datetime.now(UTC)
        return Shot(image=render(self._camera, sequence, self._width, self._height), captured_at=captured_at)
