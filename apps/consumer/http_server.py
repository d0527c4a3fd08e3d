"""What the consumer serves: the stored files, their listings, its health and its metrics.

The standard library's server is enough for a few readers inside the cluster and costs no memory.
"""

import json
import logging
import shutil
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any
from urllib.parse import unquote, urlsplit

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from apps.consumer.ingest import Health
from apps.consumer.storage import DiskStore, HourDirectory
from apps.messages import FILE, HOUR, NAME

MAX_CONNECTIONS = 64
IDLE_SECONDS = 15
STALLED_SECONDS = 120
"""A loop that has not polled for this long is stuck; Kafka takes its partitions away after 300."""

FOREVER = "public, max-age=31536000, immutable"

logger = logging.getLogger(__name__)


class ConsumerServer(ThreadingHTTPServer):
    """Answers at most `MAX_CONNECTIONS` at a time; further ones are closed, so readers cannot use up the memory."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, store: DiskStore, health: Health) -> None:
        self.store = store
        self.health = health
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(("", port), _Handler)

    def process_request(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Serves in a thread of its own, where one is free."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Gives the slot back when the connection ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()


class _Handler(BaseHTTPRequestHandler):
    server: ConsumerServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        routes: dict[str, Callable[[], None]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }
        if path in routes:
            routes[path]()
        elif path.startswith("/frames/"):
            self._frames([unquote(part) for part in path.split("/")[2:]])
        else:
            self._not_found()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("%s " + format, self.address_string(), *args)

    def _healthz(self) -> None:
        age = self.server.health.poll_age
        status = HTTPStatus.OK if age < STALLED_SECONDS else HTTPStatus.SERVICE_UNAVAILABLE
        self._json({"last_poll_seconds": round(age, 1)}, status)

    def _readyz(self) -> None:
        joined = self.server.health.joined
        self._json({"joined": joined}, HTTPStatus.OK if joined else HTTPStatus.SERVICE_UNAVAILABLE)

    def _metrics(self) -> None:
        self._send(generate_latest(), CONTENT_TYPE_LATEST)

    def _frames(self, parts: list[str]) -> None:
        """Listings end with a slash, so their last part is empty: `[camera, hour, name]` or fewer."""
        store = self.server.store
        match parts:
            case [""]:
                self._json({"cameras": store.cameras()})
            case [camera, ""] if NAME.fullmatch(camera):
                hours = [directory.hour for directory in store.hours() if directory.camera == camera]
                self._json({"hours": hours}) if hours else self._not_found()
            case [camera, hour, ""] if NAME.fullmatch(camera) and HOUR.fullmatch(hour):
                files = store.files(HourDirectory(hour=hour, camera=camera))
                self._json({"files": files}) if files else self._not_found()
            case [camera, hour, name] if NAME.fullmatch(camera) and HOUR.fullmatch(hour) and FILE.fullmatch(name):
                self._file(HourDirectory(hour=hour, camera=camera), name)
            case _:
                self._not_found()

    def _file(self, directory: HourDirectory, name: str) -> None:
        try:
            stored = self.server.store.open(directory, name)
        except FileNotFoundError:
            self._not_found()
            return
        with stored:
            self._head(
                "image/jpeg" if name.endswith(".jpg") else "application/json",
                stored.seek(0, 2),
                cache=FOREVER,
            )
            stored.seek(0)
            if self.command != "HEAD":
                shutil.copyfileobj(stored, self.wfile)

    def _not_found(self) -> None:
        self._json({"error": "not found"}, HTTPStatus.NOT_FOUND)

    def _json(self, body: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(json.dumps(body).encode(), "application/json", status)

    def _send(self, body: bytes, content_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(content_type, len(body), status)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(
        self, content_type: str, length: int, status: HTTPStatus = HTTPStatus.OK, cache: str = "no-store"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", cache)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
