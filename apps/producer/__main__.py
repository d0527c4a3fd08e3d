"""Starts a producer: `python -m apps.producer`."""

import logging
import socket
import sys
import threading
import time
from functools import partial

import cv2

from apps.producer.camera import CameraWorker
from apps.producer.handover import Handover
from apps.producer.sender import KafkaSender
from apps.producer.settings import Settings, read_cameras, read_credentials
from apps.producer.sources import open_source
from apps.producer.web import measure, serve, serve_probes
from apps.service.http import Server, metrics_handler
from apps.service.peer import Client, Door
from apps.service.process import on_stop, run

log = logging.getLogger("apps.producer")

_STOP_SECONDS = 5.0
_FLUSH_SECONDS = 20.0
_SOURCE_LIMIT = 8
"""A source's image may be this many times larger than a frame, because it is reduced before it is sent."""


def work(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT, then flush. Returns the exit status: 1 if frames were not acknowledged."""
    cameras = read_cameras(settings.cameras_file)
    credentials = read_credentials(settings.credentials_file)
    client, door, metrics_door = Client.of(settings), Door.of(settings), Door.of_metrics(settings)
    cv2.setNumThreads(1)
    stopping = threading.Event()
    on_stop(stopping.set)
    limit = settings.max_frame_bytes
    sender = KafkaSender(settings.kafka_connection, settings.frames_topic, limit, stopping)
    workers = []
    for place, camera in enumerate(cameras):
        ending = threading.Event()
        source = partial(open_source, camera, credentials.get(camera.name), _SOURCE_LIMIT * limit, ending)
        phase = place / len(cameras)
        workers.append(CameraWorker(camera, source, sender, ending, phase=phase, max_frame_bytes=limit))
    handover = Handover(f"{socket.gethostname()}:{settings.http_port}", settings.peers, workers, client)
    measure(workers)
    servers = [
        serve(settings.http_port, workers, handover, door),
        Server(settings.metrics_port, metrics_handler(), metrics_door),
    ]
    servers.append(serve_probes(settings.probe_port, lambda: sender.fatal, beside=tuple(servers)))
    handover.take_over(stopping)
    for worker in workers:
        worker.start()
    log.info("%d cameras to %s", len(workers), settings.frames_topic)
    handover.keep(stopping)
    return _stop(workers, sender, servers)


def _stop(workers: list[CameraWorker], sender: KafkaSender, servers: list[Server]) -> int:
    log.info("stopping")
    deadline = time.monotonic() + _STOP_SECONDS
    for worker in workers:
        worker.stop()
    for worker in workers:
        # A thread in a long read is abandoned: it has no frame to send.
        worker.join(max(0.0, deadline - time.monotonic()))
    left = sender.close(_FLUSH_SECONDS)
    for server in servers:
        server.close()
    if left:
        log.error("%d frames were not acknowledged", left)
        return 1
    log.info("every frame that was handed over is acknowledged")
    return 0


if __name__ == "__main__":
    sys.exit(run(Settings, work))
