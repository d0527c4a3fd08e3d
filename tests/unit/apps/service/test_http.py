"""Every app's HTTP server, over real connections."""

import http.client
import io
import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry, Counter

from apps.service import http as module
from apps.service.health import STALLED_SECONDS, healthy, poll_health
from apps.service.http import Answer, Request, Server, as_json, not_found


class Opened(io.BytesIO):
    """A file that records whether it is open."""


class App:
    """An app's own paths: `/said` repeats a body, `/file` is a file."""

    def __init__(self) -> None:
        self.well = True
        self.files: list[Opened] = []

    def answer(self, request: Request) -> Answer:
        if request.path == "/said":
            return as_json({"method": request.method, "body": request.body.decode()})
        if request.path == "/file":
            self.files.append(Opened(b"x" * 100_000))
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


def ask(server: Server, path: str, method: str = "GET", body: str | None = None) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, body)
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


def test_many_idle_connections_do_not_keep_a_probe_out(server: Server) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(module.MAX_CONNECTIONS // 2)]
    try:
        assert ask(server, "/healthz")[0] == 200
    finally:
        for each in idle:
            each.close()


def test_a_closed_server_takes_nobody_in(app: App) -> None:
    server = Server(0, health=lambda: healthy(True, ""), readiness=lambda: healthy(True, ""))
    server.close()
    with pytest.raises(OSError, match="refused"):
        ask(server, "/healthz")


def test_a_loop_that_stopped_polling_is_not_well() -> None:
    assert poll_health(STALLED_SECONDS - 1)[0] == HTTPStatus.OK
    assert poll_health(STALLED_SECONDS) == (HTTPStatus.SERVICE_UNAVAILABLE, "the last poll was 120.0 s ago\n")
