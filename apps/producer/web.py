"""A producer's HTTP servers: health; the state of each camera, and claims of other producers."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from apps.producer import metrics
from apps.producer.camera import CameraWorker
from apps.producer.handover import RELEASE, Handover
from apps.service.health import Health, healthy
from apps.service.http import MAX_BODY, Answer, Request, Server, as_json, not_found, probes
from apps.service.peer import Door


def describe(me: str, workers: Sequence[CameraWorker]) -> dict[str, Any]:
    """The state of every camera that this producer has, and the frames that it delivered in this run."""
    cameras = []
    for worker in workers:
        if worker.released:
            continue
        status, account = worker.status, worker.ledger.account()
        cameras.append(
            {
                "name": worker.camera.name,
                "url": worker.camera.url,
                "state": status.state,
                "error": status.error,
                "first_sequence": account.first,
                "last_sequence": account.last,
                "acked": account.acked,
                "failed": list(account.failed),
                "queued": account.queued,
            }
        )
    return {"producer": me, "cameras": cameras}


def measure(workers: Sequence[CameraWorker]) -> None:
    """Have the metrics say how many frames of each camera wait for Kafka."""
    for worker in workers:
        metrics.QUEUED.labels(worker.camera.name).set_function(partial(_queued, worker))


def serve_probes(port: int, trouble: Callable[[], str | None], beside: Sequence[Server]) -> Server:
    """Answer probes.

    `trouble` returns the fault of the producer as a whole, or None; `beside` are the servers of all else.
    """

    def check() -> Health:
        ailing = trouble()
        return healthy(ailing is None, ailing or "ok")

    return Server(port, probes(check, check, beside=beside))


def serve(port: int, workers: Sequence[CameraWorker], handover: Handover, door: Door) -> Server:
    """Answer the page and other producers."""

    def answer(request: Request) -> Answer:
        asked = (request.method, request.path)
        if asked == ("GET", "/cameras"):
            return as_json(describe(handover.me, workers))
        if asked == ("POST", RELEASE):
            return _release(handover, request.body)
        return not_found(request)

    return Server(port, answer, door, max_body=MAX_BODY)


def _release(handover: Handover, body: bytes) -> Answer:
    """Answer another producer's claim of cameras."""
    try:
        asked = json.loads(body)
        by, started, names = str(asked["by"]), float(asked["started"]), [str(name) for name in asked["cameras"]]
        if not math.isfinite(started):
            raise ValueError("a time that no clock shows")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        wanted = b'not {"by": ..., "started": seconds since 1970, "cameras": [...]}'
        return Answer(body=wanted, status=HTTPStatus.BAD_REQUEST)
    released = handover.release(by, started, names)
    reading = [{"name": name} for name in released.reading]
    return as_json({"producer": handover.me, "cameras": reading, "kept": released.kept})


def _queued(worker: CameraWorker) -> int:
    return worker.ledger.account().queued
