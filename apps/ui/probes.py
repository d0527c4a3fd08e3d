"""What Kubernetes and Prometheus ask, on ports of their own that no Service has."""

import asyncio
import time

from apps.service.health import Health, healthy, poll_health
from apps.service.http import Server, metrics_handler, probes
from apps.service.peer import Door
from apps.ui.reader import Reader

BEAT_SECONDS = 1.0


class Probes:
    """Answers /healthz, /readyz and /metrics in its own threads, so it must watch the event loop that serves the page.

    The page is well while the loop runs and the reader asks Kafka, and ready once it reads the frames.
    """

    def __init__(self, port: int, metrics_port: int, reader: Reader, metrics_door: Door) -> None:
        """Answer at once, metrics at a port of their own. Port 0 chooses a free port."""
        self._reader = reader
        self._beat_at = time.monotonic()
        measured = Server(metrics_port, metrics_handler(), metrics_door)
        self._servers = [Server(port, probes(self._health, self._readiness, beside=[measured])), measured]

    async def run(self) -> None:
        """Note that the event loop runs, until cancelled."""
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def close(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.close()

    def _health(self) -> Health:
        return poll_health(max(self._reader.poll_age, time.monotonic() - self._beat_at))

    def _readiness(self) -> Health:
        return healthy(self._reader.ready, "reading\n" if self._reader.ready else "not reading yet\n")
