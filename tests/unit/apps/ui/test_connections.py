"""Whoever is slow, or opens many connections, keeps nobody else from the page."""

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
import uvicorn

from apps.ui import connections
from apps.ui.connections import Bounded

ANSWER = b"x" * 1000
LARGE = 32 * 2**20

Message = MutableMapping[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Reads the request to its end, waits as long as its query says (seconds), and answers with so many bytes."""
    wait, _, size = scope["query_string"].decode().partition("&")
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(float(wait or 0))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * int(size or len(ANSWER))})


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that gives an exchange a second and takes four connections."""
    monkeypatch.setattr(connections, "EXCHANGE_SECONDS", 1.0)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 4)
    # A keep-alive is longer here, so that it is not what ends a connection.
    settings = uvicorn.Config(app, port=0, http=Bounded, lifespan="off", log_config=None, timeout_keep_alive=30)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(30)


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        yield connection


def asked(connection: socket.socket, query: str = "") -> bytes:
    """The first bytes of the answer to a whole request."""
    connection.sendall(f"GET /?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection.recv(15)


def cut_off_after(connection: socket.socket, sent: bytes = b"") -> float:
    """The seconds after which the connection ends, while bytes are sent again and again."""
    began = time.monotonic()
    connection.settimeout(0.2)
    with contextlib.suppress(ConnectionError):
        while True:
            if sent:
                connection.sendall(sent)
            with contextlib.suppress(TimeoutError):
                if not connection.recv(65536):
                    break
            assert time.monotonic() < began + 20, "it goes on"
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"z"),
    ],
    ids=["nothing", "headers", "body"],
)
def test_a_request_that_never_ends_is_cut_off_however_lively_it_is(page: int, first: bytes, then: bytes) -> None:
    with connected(page) as slow:
        slow.sendall(first)
        assert 0.5 < cut_off_after(slow, then) < 15
    with connected(page) as next_one:
        assert asked(next_one).startswith(b"HTTP/1.1 200")


def test_an_answer_that_nobody_reads_is_cut_off(page: int) -> None:
    with connected(page) as lazy:
        lazy.sendall(f"GET /?0&{LARGE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(3)
        read = 0
        with contextlib.suppress(ConnectionError):
            while part := lazy.recv(2**20):
                read += len(part)
        assert read < LARGE


def test_an_answer_that_is_read_slowly_but_in_time_costs_the_next_nothing(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "EXCHANGE_SECONDS", 6.0)
    with connected(page) as slow:
        slow.sendall(f"GET /?0&{LARGE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(2)
        read = 0
        while read < LARGE:
            read += len(slow.recv(2**20))
        slow.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            slow.recv(65536)
        slow.settimeout(20)
        assert asked(slow, "4.5").startswith(b"HTTP/1.1 200")


def test_an_answer_that_takes_too_long_is_cut_off_and_a_quick_one_is_not(page: int) -> None:
    with connected(page) as quick:
        assert asked(quick, "0.2").startswith(b"HTTP/1.1 200")
    with connected(page) as slow:
        slow.sendall(b"GET /?9 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert cut_off_after(slow) < 8


def test_a_connection_is_used_again_for_as_long_as_each_exchange_is_quick(page: int) -> None:
    kept = http.client.HTTPConnection("127.0.0.1", page, timeout=20)
    kept.connect()
    first = kept.sock
    for _ in range(4):
        kept.request("GET", "/?0.4")
        assert kept.getresponse().read() == ANSWER
        time.sleep(0.3)
    assert kept.sock is first
    kept.close()


def test_of_requests_that_come_at_once_each_has_its_time(page: int) -> None:
    with connected(page) as eager:
        eager.sendall(b"GET /?0.1 HTTP/1.1\r\nHost: x\r\n\r\nGET /?9 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert 0.5 < cut_off_after(eager) < 8


def test_one_connection_too_many_is_closed_at_once_and_those_before_are_served(page: int) -> None:
    with contextlib.ExitStack() as opened:
        several = [opened.enter_context(connected(page)) for _ in range(4)]
        assert asked(several[0]).startswith(b"HTTP/1.1 200")
        with connected(page) as one_more, contextlib.suppress(ConnectionError):
            assert asked(one_more) == b""
        assert asked(several[1]).startswith(b"HTTP/1.1 200")
