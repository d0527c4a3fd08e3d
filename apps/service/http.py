"""An HTTP server, on waitress, for an app's probes, its metrics and its own paths."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO, Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from waitress.channel import HTTPChannel
from waitress.server import create_server

from apps.service.health import Health
from apps.service.token import HEADER, Token

MAX_CONNECTIONS = 256
MAX_CONNECTIONS_OF_ONE = 64
"""The most connections of one address, so that nobody keeps out the others, such as the kubelet's probes."""

IDLE_SECONDS = 15
EXCHANGE_SECONDS = 60
"""The longest that a request takes from its first byte to the last one of its answer, however slow the client is."""

THREADS = 4
CLOSE_SECONDS = 2
MAX_BODY = 2**20
MAX_HEADERS = 2**14
_TOKEN: Final = "HTTP_" + HEADER.upper().replace("-", "_")


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
    why = f"this is for the stack's own pods: the header {HEADER} is missing or wrong"
    return as_json({"error": why}, HTTPStatus.UNAUTHORIZED)


def not_found(_: Request) -> Answer:
    """The answer for an unknown path."""
    return as_json({"error": "not found"}, HTTPStatus.NOT_FOUND)


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


class Server:
    """Answers /healthz, /readyz and /metrics, and everything else by `rest`, in its own threads.

    With a token, `rest` answers only who shows it.
    """

    def __init__(
        self,
        port: int,
        *,
        health: Callable[[], Health],
        readiness: Callable[[], Health],
        rest: Handler = not_found,
        token: Token | None = None,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        """Start serving at once. Port 0 chooses a free port."""
        self._checks = {"/healthz": health, "/readyz": readiness}
        self._rest, self._registry, self._token = rest, registry, token
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
            max_request_body_size=MAX_BODY,
            max_request_header_size=MAX_HEADERS,
            clear_untrusted_proxy_headers=True,
            # select() does not support descriptors above 1023, which a process with many open files has.
            asyncore_use_poll=True,
            ident=None,
        )
        self._server.channel_class = _Channel
        self._close_idle, self._server.maintenance = self._server.maintenance, self._close_slow
        self.port: int = self._server.effective_port
        threading.Thread(target=self._server.run, name="http", daemon=True).start()

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

    def _close_slow(self, now: float) -> None:
        """Close the connections that are idle, and those whose exchange has taken too long. Called now and then."""
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
        answer = self._found(request, environ.get(_TOKEN, ""))
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

    def _found(self, request: Request, shown: str) -> Answer:
        if check := self._checks.get(request.path):
            status, reason = check()
            return Answer(body=reason.encode(), status=status)
        if request.path == "/metrics":
            return Answer(body=generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)
        if self._token is not None and not self._token.admits(shown):
            return refused(request)
        return self._rest(request)
