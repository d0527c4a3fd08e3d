"""A server on loopback that answers each connection as a script says, byte by byte."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """`requests` are those of HTTP that came: the first line and the headers."""

    port: int
    scheme: str = "http"
    requests: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    """Set when the test ends, so that no script outlives it."""

    def url(self, path: str = "/stream") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"


Script = Callable[[RawServer, socket.socket, str], None]
"""Answers one request."""


@contextlib.contextmanager
def raw_server(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Serve until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = RawServer(listening.getsockname()[1], "https" if tls else "http")

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError):
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                with connection:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        data = connection.recv(4096)
                        if not data:
                            return
                        request += data
                    server.requests.append(request.decode("utf-8"))
                    script(server, connection, server.requests[-1])

        with serving(listening, serve, server.done):
            yield server


@contextlib.contextmanager
def serving(listening: socket.socket, serve: Callable[[socket.socket], None], done: threading.Event) -> Iterator[None]:
    """Serve each connection in a thread of its own until the block ends; `done` is set then."""

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        done.set()
        listening.shutdown(socket.SHUT_RDWR)


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """An HTTP answer. A header's name is written with _ for -, and several lines of one are split by a line feed."""
    lines = [f"{name.replace('_', '-')}: {each}" for name, value in headers.items() for each in value.split("\n")]
    return "\r\n".join([f"HTTP/1.0 {status}", *lines, "", ""]).encode() + body


def drip(server: RawServer, connection: socket.socket, data: bytes, pause: float = 0.05) -> None:
    """Send one byte after the other, until the test ends."""
    while not server.done.is_set():
        for byte in data:
            connection.sendall(bytes([byte]))
            if server.done.wait(pause):
                return
