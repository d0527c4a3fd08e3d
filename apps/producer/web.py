"""A producer's HTTP side: health, metrics, and how each camera is."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from apps.producer import metrics
from apps.producer.camera import CameraWorker
from apps.producer.handover import RELEASE, Handover

log = logging.getLogger(__name__)


def describe(me: str, workers: Sequence[CameraWorker]) -> dict[str, Any]:
    """The state of every camera that is this producer's, and the frames that it delivered in this run."""
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


def serve(
    port: int, workers: Sequence[CameraWorker], handover: Handover, trouble: Callable[[], str | None]
) -> ThreadingHTTPServer:
    """Starts the server in a thread of its own. `trouble` tells what ails the producer as a whole, if anything."""

    def metrics_page() -> bytes:
        for worker in workers:
            metrics.QUEUED.labels(worker.camera.name).set(worker.ledger.account().queued)
        return generate_latest()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answers one request."""
            path = self.path.partition("?")[0]
            if path in {"/healthz", "/readyz"}:
                ailing = trouble()
                status = HTTPStatus.SERVICE_UNAVAILABLE if ailing else HTTPStatus.OK
                self._answer(status, "text/plain; charset=utf-8", (ailing or "ok").encode())
            elif path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, metrics_page())
            elif path == "/cameras":
                self._answer(HTTPStatus.OK, "application/json", json.dumps(describe(handover.me, workers)).encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found")

        def do_POST(self) -> None:
            """Lets cameras go that another producer has from now on."""
            if self.path != RELEASE:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found")
                return
            try:
                asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                by, started, names = str(asked["by"]), float(asked["started"]), [str(name) for name in asked["cameras"]]
            except (ValueError, KeyError, TypeError):
                wanted = b'not {"by": ..., "started": seconds since 1970, "cameras": [...]}'
                self._answer(HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", wanted)
                return
            released = handover.release(by, started, names)
            reading = [{"name": name} for name in released.reading]
            answer = json.dumps({"producer": handover.me, "cameras": reading, "kept": released.kept})
            self._answer(HTTPStatus.OK, "application/json", answer.encode())

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
