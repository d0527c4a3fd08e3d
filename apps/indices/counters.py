"""`python -m apps.indices.counters`: answers for a Filebeat beside it, which asks nobody who he is and knows no TLS.

Filebeat has its counters at a port that only its own pod reaches. This answers them as metrics, over TLS and only who
shows the token, and says to kubelets whether Filebeat is ready (ADR 57).
"""

from __future__ import annotations

import http.client
import json
import logging
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from apps.indices.settings import CountersSettings
from apps.messages.names import FILEBEAT_EVENT_KINDS, FILEBEAT_EVENTS
from apps.service.health import Health, healthy
from apps.service.http import Server, metrics_handler, probes
from apps.service.peer import Door
from apps.service.process import on_stop, run

TIMEOUT_SECONDS: Final = 3.0
HOST: Final = "127.0.0.1"

logger = logging.getLogger("apps.indices.counters")


class Filebeat(Collector):
    """The Filebeat of this pod, as metrics."""

    def __init__(self, port: int) -> None:
        self._port = port

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Its counters as they are now; none where it does not answer."""
        try:
            events = output_events(json.loads(self._ask("/stats")))
        except (OSError, http.client.HTTPException, ValueError) as error:
            logger.warning("Filebeat does not say what it counts: %s", error)
            return
        text = "Events at the output since Filebeat started: dropped are those that the index refused."
        family = GaugeMetricFamily(FILEBEAT_EVENTS, text, labels=["kind"])
        for kind, count in events.items():
            family.add_metric([kind], count)
        yield family

    def readiness(self) -> Health:
        """Whether Filebeat answers."""
        try:
            self._ask("/")
        except (OSError, http.client.HTTPException) as error:
            return healthy(False, f"Filebeat does not answer: {error}")
        return healthy(True, "Filebeat answers")

    def _ask(self, path: str) -> bytes:
        """What Filebeat answers. Raises OSError or http.client.HTTPException."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                raise http.client.HTTPException(f"{path}: {response.status}")
            return response.read()
        finally:
            connection.close()


def output_events(stats: Any) -> dict[str, int]:
    """Filebeat's counters of events at its output. Raises ValueError if this is not its answer."""
    try:
        events = stats["libbeat"]["output"]["events"]
        return {kind: int(events.get(kind, 0)) for kind in FILEBEAT_EVENT_KINDS}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not Filebeat's counters: {type(error).__name__} {error}") from error


def serve(settings: CountersSettings) -> list[Server]:
    """Answer kubelets and who reads metrics. Raises SettingsError if a file cannot be used."""
    registry, filebeat = CollectorRegistry(), Filebeat(settings.filebeat_port)
    registry.register(filebeat)
    measured = Server(settings.metrics_port, metrics_handler(registry), Door.of_metrics(settings))
    probed = probes(lambda: healthy(True, "it answers"), filebeat.readiness, beside=[measured])
    return [Server(settings.probe_port, probed), measured]


def work(settings: CountersSettings) -> int:
    """Answer until told to stop. Returns the process's exit status."""
    stopping = threading.Event()
    on_stop(stopping.set)
    servers = serve(settings)
    logger.info("answering for Filebeat on port %d", settings.metrics_port)
    stopping.wait()
    for server in servers:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(run(CountersSettings, work))
