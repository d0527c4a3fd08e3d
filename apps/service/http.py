"""An HTTP server, on waitress: of probes, in plain, or of metrics and what other pods ask for, over TLS."""

from __future__ import annotations

import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from socket import socket
from typing import Any, BinaryIO, Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from waitress.channel import HTTPChannel
from waitress.server import create_server

from apps.service.certificate import Certificate
from apps.service.health import Health, healthy
from apps.service.peer import Door
from apps.service.token import HEADER

MAX_CONNECTIONS = 256
MAX_CONNECTIONS_OF_ONE = 64
"""The most connections of one address, so that nobody keeps out the others, such as the kubelet's probes."""

IDLE_SECONDS = 15
"""Also the longest that a client may take to agree on TLS."""
EXCHANGE_SECONDS = 60
"""The longest that a request takes from its first byte to the last one of its answer, however slow the client is."""

THREADS = 4
CLOSE_SECONDS = 2
METRICS = "/metrics"
WELL, NOT_WELL = b"well\n", b"not well\n"
SMALL_BODY = 2**10
MAX_BODY = 2**20
MAX_HEADERS = 2**14
_TOKEN: Final = "HTTP_" + HEADER.upper().replace("-", "_")
_RECORD: Final = 2**14
"""The most bytes of a record of TLS (RFC 8446)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Request:
    """`path` is decoded and has no query."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response. If its body is an open file, the server closes it."""

    body: bytes | BinaryIO
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    cache: str = "no-store"

    @property
    def size(self) -> int:
        """The body's size in bytes."""
        if isinstance(self.body, bytes):
            return len(self.body)
        size = self.body.seek(0, 2)
        self.body.seek(0)
        return size


Handler = Callable[[Request], Answer]


def as_json(content: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """An answer with the content as JSON."""
    return Answer(body=json.dumps(content).encode(), content_type="application/json", status=status)


def refused(_: Request) -> Answer:
    """The answer for a request that does not show the token."""
    why = f"the token is missing or wrong; it is shown in the header {HEADER}, or as a bearer token in Authorization"
    return as_json({"error": why}, HTTPStatus.UNAUTHORIZED)


def not_found(_: Request) -> Answer:
    """The answer for an unknown path."""
    return as_json({"error": "not found"}, HTTPStatus.NOT_FOUND)


def probes(
    health: Callable[[], Health],
    readiness: Callable[[], Health],
    beside: Sequence[Server] = (),
) -> Handler:
    """The handler of what a kubelet asks: /healthz and /readyz. As anybody may, it says whether, and the log says why.

    `beside` are the process's other servers, whose end makes the process unhealthy.
    """
    checks = {"/healthz": health, "/readyz": readiness}
    last: dict[str, HTTPStatus] = {}

    def answer(request: Request) -> Answer:
        check = checks.get(request.path)
        if check is None:
            return not_found(request)
        ended = next((each for each in beside if not each.alive), None)
        status, reason = check() if ended is None else healthy(False, f"the server on port {ended.port} has ended")
        if status is not HTTPStatus.OK and last.get(request.path) is not status:
            logger.warning("%s is answered with %d: %s", request.path, status, reason.strip())
        last[request.path] = status
        return Answer(body=WELL if status is HTTPStatus.OK else NOT_WELL, status=status)

    return answer


def metrics_handler(registry: CollectorRegistry = REGISTRY) -> Handler:
    """The handler of what Prometheus asks: /metrics."""

    def answer(request: Request) -> Answer:
        if request.path != METRICS:
            return not_found(request)
        return Answer(body=generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return answer


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows when its request began, and is closed at once where its address has too many."""

    begun = 0.0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        mine = [each for each in self.server.active_channels.values() if each.addr[0] == self.addr[0]]
        if len(mine) > MAX_CONNECTIONS_OF_ONE:
            self.will_close = True

    def received(self, data: bytes) -> bool:
        """Bytes of a request have come."""
        if self.request is None and not self.busy:
            self.begun = time.time()
        return bool(super().received(data))

    @property
    def busy(self) -> bool:
        """Whether a request, or the answer to one, is not complete."""
        return bool(self.request is not None or self.requests or self.total_outbufs_len)


class _TlsChannel(_Channel):
    """A connection over TLS; waitress knows none. `socket` is an ssl.SSLSocket that does not block.

    Until both ends have agreed, `last_activity` is when the client connected, so one that is idle or slow is closed as
    any other. Who speaks plain HTTP or an older TLS is closed at once.
    """

    agreed = False
    _waits_to_write = False

    def __init__(self, *given: Any, **named: Any) -> None:
        # A thread may write while waitress' own reads; OpenSSL lets one of them at a time.
        self._using = threading.Lock()
        super().__init__(*given, **named)
        # A part that could not be sent is offered again as it is, so no part is longer than a record.
        self.sendbuf_len = _RECORD

    def writable(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._waits_to_write or super().writable())

    def handle_write(self) -> None:
        """The client takes more."""
        if self.agreed or self.will_close:
            super().handle_write()
        else:
            self._agree()

    def handle_read(self) -> None:
        """Bytes have come. A whole record is read at once, as nothing wakes this for a part that OpenSSL keeps."""
        if not self.agreed:
            self._agree()
            return
        try:
            with self._using:
                data = self.socket.recv(_RECORD)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            data = b""
        if data:
            self.last_activity = time.time()
            self.received(data)
        else:
            self.handle_close()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send a part of an answer. Returns how much was sent."""
        try:
            with self._using:
                return int(self.socket.send(data))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            if do_close:
                self.handle_close()
            return 0

    def _agree(self) -> None:
        """Go on with the handshake."""
        self._waits_to_write = False
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLWantWriteError:
            self._waits_to_write = True
            return
        except OSError:
            self.handle_close()
            return
        self.agreed, self.last_activity = True, time.time()


def _take_in(certificate: Certificate, server: Any, connection: socket, *given: Any, **named: Any) -> None:
    """Open a _TlsChannel; waitress calls this where it would call the class."""
    try:
        wrapped = certificate.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    except OSError:
        # The client has gone already. An error here would close the server.
        connection.close()
        return
    _TlsChannel(server, wrapped, *given, **named)


def _shown(environ: Mapping[str, Any]) -> str:
    """The token that a request shows: in Argus's own header, or as a bearer token (RFC 6750), as Prometheus does."""
    if own := environ.get(_TOKEN, ""):
        return str(own)
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Server:
    """Answers requests in its own threads: in plain, or where it has a door, over TLS and only who shows the token."""

    def __init__(self, port: int, answer: Handler, door: Door | None = None, *, max_body: int = SMALL_BODY) -> None:
        """Start serving at once. Port 0 chooses a free port.

        A body of more than `max_body` bytes is refused (413): it is in memory before anybody is asked for a token.
        """
        self._handler, self._door = answer, door
        # waitress warns about each request that has to queue, which is normal here.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server = create_server(
            self._answer,
            host="0.0.0.0",
            port=port,
            threads=THREADS,
            connection_limit=MAX_CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=IDLE_SECONDS,
            max_request_body_size=max_body,
            max_request_header_size=MAX_HEADERS,
            clear_untrusted_proxy_headers=True,
            # select() does not support descriptors above 1023, which a process with many open files has.
            asyncore_use_poll=True,
            ident=None,
        )
        self._server.channel_class = _Channel if door is None else partial(_take_in, door.certificate)
        self._close_idle, self._server.maintenance = self._server.maintenance, self._maintain
        self.port: int = self._server.effective_port
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop accepting connections."""
        closed = threading.Event()

        def end() -> None:
            self._server.close()
            closed.set()

        # The server must be closed in its own thread, which would otherwise go on listening. That thread takes the lock
        # before it runs `end`, which closes what a pull writes to.
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(end)
            trigger.pull_trigger()
        closed.wait(CLOSE_SECONDS)
        self._server.task_dispatcher.shutdown(timeout=CLOSE_SECONDS)

    def _maintain(self, now: float) -> None:
        """Take a renewed certificate and token, and close slow connections. Called now and then."""
        if self._door is not None:
            self._door.certificate.look()
            self._door.token.look()
        self._close_slow(now)

    def _close_slow(self, now: float) -> None:
        """Close the connections that are idle, and those whose exchange has taken too long."""
        self._close_idle(now)
        for channel in list(self._server.active_channels.values()):
            if channel.busy and now - channel.begun > EXCHANGE_SECONDS:
                # At once: `will_close` waits until the client takes more of the answer, which it may never do.
                channel.handle_close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        request = Request(
            method=environ["REQUEST_METHOD"],
            # WSGI passes bytes as Latin-1.
            path=environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            body=environ["wsgi.input"].read(),
        )
        admitted = self._door is None or self._door.token.admits(_shown(environ))
        answer = self._handler(request) if admitted else refused(request)
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(answer.size)),
            ("Cache-Control", answer.cache),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        if isinstance(answer.body, bytes):
            return [] if request.method == "HEAD" else [answer.body]
        if request.method == "HEAD":
            answer.body.close()
            return []
        whole: Iterable[bytes] = environ["wsgi.file_wrapper"](answer.body)
        return whole
