"""The client of the API server, with a server that speaks TLS as that one does."""

import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from apps.service import kubernetes
from apps.service.kubernetes import ApiServer
from tests.certificates import certificate

IDLE_SECONDS = 0.3


class Handler(BaseHTTPRequestHandler):
    """Ends a connection on which nobody asks for a while, and says nothing before."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        body = f'"{self.client_address[1]}"'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A client of a server that tells each client's port."""
    folder = certificate(tmp_path / "server", "api")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, content in (("token", "secret"), ("namespace", "argus"), ("ca.crt", (folder / "tls.crt").read_text())):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(kubernetes, "API_HOST", f"localhost:{server.server_port}")
    yield ApiServer(tmp_path)
    server.shutdown()
    server.server_close()


def test_one_connection_serves_all_that_is_asked_shortly_after(api: ApiServer) -> None:
    assert len({api.ask("GET", "/") for _ in range(3)}) == 1


def test_what_is_asked_after_a_pause_is_answered(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pod that keeps the page's certificate asks once an hour."""
    monkeypatch.setattr(kubernetes, "_IDLE_SECONDS", IDLE_SECONDS / 2)
    first = api.ask("GET", "/")
    for _ in range(2):
        time.sleep(IDLE_SECONDS * 2)
        assert api.ask("GET", "/") != first
