"""A stranger who knocks finds whoever serves him, and nobody who asks who he is."""

import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.certificates import certificate
from tests.e2e import knock
from tests.unit.apps.producer.raw_server import serving

Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serves each connection until the block ends, with TLS where there is a context; its HOST:PORT."""
    done = threading.Event()

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if context is None:
                serve(connection)
            else:
                with context.wrap_socket(connection, server_side=True) as encrypted:
                    serve(encrypted)

    with socket.create_server(("127.0.0.1", 0)) as listening, serving(listening, one, done):
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def says(answer: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return serve


def kafka(connection: socket.socket) -> None:
    """Names the request that it answers, as a broker does, if it is one."""
    asked = connection.recv(65536)
    if asked[4:6] == b"\0\x12":
        connection.sendall(struct.pack(">i", 10) + asked[8:12] + bytes(6))


def with_tls(folder: Path, *, asks: bool) -> ssl.SSLContext:
    shown = certificate(folder / "tls", "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown / "tls.crt", shown / "tls.key")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(shown / "tls.crt")
    return context


SERVING = {
    "HTTP": says(b"HTTP/1.1 200 OK\r\n\r\nall cameras"),
    "Kafka": kafka,
    "ZooKeeper": says(knock.ZOOKEEPER_SERVES + bytes(33)),
    "Spark": says(b"java.lang.ClassNotFoundException: stranger.Gadget"),
}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knock, "TIMEOUT_SECONDS", 0.5)


@pytest.mark.parametrize("name", SERVING)
def test_who_serves_a_stranger_is_named_with_the_protocol(name: str) -> None:
    with server(SERVING[name]) as there:
        assert knock.told([there]) == {"away": [], "serving": {there: [f"{name} in plain"]}}


@pytest.mark.parametrize("asks", [False, True])
def test_with_tls_a_certificate_is_what_keeps_a_stranger_out(tmp_path: Path, asks: bool) -> None:
    with server(SERVING["HTTP"], with_tls(tmp_path, asks=asks)) as there:
        serving = {} if asks else {there: ["HTTP with TLS"]}
        assert knock.told([there]) == {"away": [], "serving": serving}


@pytest.mark.parametrize(
    "serve",
    [
        says(b"HTTP/1.1 401 Unauthorized\r\n\r\n"),
        says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        says(b""),
        partial(lambda wait, connection: connection.recv(65536) and wait.wait(2), threading.Event()),
    ],
    ids=["401", "400", "closed", "silent"],
)
def test_a_refusal_and_silence_are_no_service(serve: Serve) -> None:
    with server(serve) as there:
        assert knock.told([there]) == {"away": [], "serving": {}}


def test_where_nobody_listens_is_said() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        there = f"127.0.0.1:{probe.getsockname()[1]}"
        assert knock.told([there]) == {"away": [there], "serving": {}}


def test_as_a_pod_runs_it_it_prints_json_again_and_again() -> None:
    with server(kafka) as there:
        process = subprocess.Popen(
            [sys.executable, "-c", Path(knock.__file__).read_text(), there], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            for _ in range(2):
                assert json.loads(process.stdout.readline()) == {"away": [], "serving": {there: ["Kafka in plain"]}}
        finally:
            process.kill()
            process.wait()
