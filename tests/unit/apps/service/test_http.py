"""Every app's HTTP server, over real connections."""

import http.client
import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType

import pytest
from prometheus_client import CollectorRegistry, Counter

from apps.service import http as module
from apps.service.health import STALLED_SECONDS, healthy, poll_health
from apps.service.http import Answer, Request, Server, as_json, not_found
from apps.service.token import HEADER, Token
from tests.environments import TOKEN_FILE


class Opened(io.BytesIO):
    """A file that records whether it is open."""


class App:
    """An app's own paths: `/said` repeats a body, `/file` is a file."""

    def __init__(self) -> None:
        self.well = True
        self.files: list[Opened] = []
        self.size = 100_000

    def answer(self, request: Request) -> Answer:
        if request.path == "/said":
            return as_json({"method": request.method, "body": request.body.decode()})
        if request.path == "/file":
            self.files.append(Opened(b"x" * self.size))
            return Answer(body=self.files[-1], content_type="image/jpeg", cache="immutable")
        if request.path == "/broken":
            raise ZeroDivisionError
        return not_found(request)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[Server]:
    registry = CollectorRegistry()
    Counter("frames", "Frames.", registry=registry).inc(3)
    started = Server(
        0,
        health=lambda: healthy(app.well, "so it is\n"),
        readiness=lambda: healthy(False, "not yet\n"),
        rest=app.answer,
        registry=registry,
    )
    yield started
    started.close()


def ask(
    server: Server,
    path: str,
    method: str = "GET",
    body: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def test_probes_say_why(server: Server, app: App) -> None:
    assert ask(server, "/healthz?verbose")[:2] == (200, b"so it is\n")
    app.well = False
    assert ask(server, "/healthz")[:2] == (503, b"so it is\n")
    assert ask(server, "/readyz")[:2] == (503, b"not yet\n")


def test_metrics_are_those_of_the_app(server: Server) -> None:
    status, text, headers = ask(server, "/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b"frames_total 3.0" in text


def test_what_the_app_adds(server: Server, app: App) -> None:
    status, text, headers = ask(server, "/said", "POST", "a word")
    assert (status, text) == (200, b'{"method": "POST", "body": "a word"}')
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "server" not in headers
    assert ask(server, "/other")[:2] == (404, b'{"error": "not found"}')


def test_a_file_is_sent_whole_and_closed(server: Server, app: App) -> None:
    status, data, headers = ask(server, "/file")
    assert (status, data, headers["content-length"]) == (200, b"x" * 100_000, "100000")
    assert (headers["content-type"], headers["cache-control"]) == ("image/jpeg", "immutable")
    status, data, headers = ask(server, "/file", "HEAD")
    assert (status, data, headers["content-length"]) == (200, b"", "100000")
    assert all(file.closed for file in app.files)


def test_what_the_app_breaks_on_is_one_answer(server: Server) -> None:
    assert ask(server, "/broken")[0] == HTTPStatus.INTERNAL_SERVER_ERROR
    assert ask(server, "/healthz")[0] == 200


def test_a_body_has_a_limit(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.putrequest("POST", "/said")
    connection.putheader("Content-Length", str(module.MAX_BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def stranger(server: Server) -> socket.socket:
    """A connection from another address than the tests' own."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=10, source_address=("127.0.0.2", 0))


def test_many_connections_of_one_address_do_not_keep_a_probe_out(server: Server) -> None:
    idle = [stranger(server) for _ in range(module.MAX_CONNECTIONS + 10)]
    try:
        assert ask(server, "/healthz")[0] == 200
        assert idle[-1].recv(1) == b"", "one too many is closed at once"
        idle[0].sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert idle[0].recv(15).startswith(b"HTTP/1.0 200"), "those before are served"
    finally:
        for each in idle:
            each.close()


@pytest.mark.parametrize(
    "sent", [b"G", b"GET /healthz HTTP/1.1\r\nX: ", b"POST /said HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_request_that_never_ends_is_cut_off_however_lively_it_is(server: Server, sent: bytes) -> None:
    with stranger(server) as slow:
        slow.sendall(sent)
        # Until it is received, nothing is cut off.
        wait_for(lambda: any(each.busy for each in channels(server)))
        (channel,) = (each for each in channels(server) if each.busy)
        channel.last_activity = channel.begun + module.EXCHANGE_SECONDS + 1
        server._close_slow(channel.begun + module.EXCHANGE_SECONDS - 1)
        assert channel in channels(server)
        server._close_slow(channel.begun + module.EXCHANGE_SECONDS + 1)
        assert slow.recv(1) == b""
    assert ask(server, "/healthz")[0] == 200


def test_an_answer_that_nobody_reads_is_cut_off(server: Server, app: App) -> None:
    app.size = 50_000_000
    with stranger(server) as slow:
        slow.sendall(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: app.files and any(each.total_outbufs_len for each in channels(server)))
        (channel,) = (each for each in channels(server) if each.total_outbufs_len)
        server._close_slow(channel.begun + module.EXCHANGE_SECONDS + 1)
        wait_for(lambda: channel not in channels(server))
    assert app.files[0].closed


def channels(server: Server) -> list[module._Channel]:
    return list(server._server.active_channels.values())


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_headers_have_a_limit(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/healthz", headers={"X-Long": "x" * module.MAX_HEADERS})
    assert connection.getresponse().status == 431
    connection.close()


def test_with_a_token_only_probes_and_metrics_are_for_everybody(app: App) -> None:
    token = Token(TOKEN_FILE)
    well = healthy(True, "")
    server = Server(0, health=lambda: well, readiness=lambda: well, rest=app.answer, token=token)
    try:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert ask(server, path)[0] == 200
        for path in ("/said", "/other", "/healthz/../said"):
            assert ask(server, path)[0] == 401
            assert ask(server, path, headers={HEADER: "another"})[0] == 401
        assert ask(server, "/said", headers=token.headers)[0] == 200
        assert ask(server, "/other", headers=token.headers)[0] == 404
    finally:
        server.close()


def test_a_closed_server_takes_nobody_in(app: App) -> None:
    server = Server(0, health=lambda: healthy(True, ""), readiness=lambda: healthy(True, ""))
    server.close()
    with pytest.raises(OSError, match="refused"):
        ask(server, "/healthz")


def test_a_loop_that_stopped_polling_is_not_well() -> None:
    assert poll_health(STALLED_SECONDS - 1)[0] == HTTPStatus.OK
    assert poll_health(STALLED_SECONDS) == (HTTPStatus.SERVICE_UNAVAILABLE, "the last poll was 120.0 s ago\n")
