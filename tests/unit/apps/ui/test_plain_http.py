"""The page's port tells who comes without TLS where the page is, and serves who comes with it as before."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from apps.service.certificate import Certificate
from apps.ui.__main__ import OLDEST_TLS
from apps.ui.plain_http import Context, answer
from tests.certificates import certificate

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"


class Page(asyncio.Protocol):
    """Answers everything, and notes what it was asked."""

    def __init__(self, asked: list[bytes]) -> None:
        self._asked = asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked.append(data)
        self._transport.write(ANSWER)


def meet(folder: Path, client: Callable[[int], Awaitable[None]]) -> list[bytes]:
    """Let a client, who is given the port, meet the page. Returns what reached the page."""
    asked: list[bytes] = []
    context = Certificate(certificate(folder / "tls", "page"), OLDEST_TLS, Context).context

    async def both() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Page(asked), "127.0.0.1", 0, ssl=context)
        async with server:
            await asyncio.wait_for(client(server.sockets[0].getsockname()[1]), 30)

    asyncio.run(both())
    return asked


def request(path: str, *, method: str = "GET", host: str = "Host: 10.77.0.10:30080\r\n") -> bytes:
    return f"{method} {path} HTTP/1.1\r\n{host}Accept: */*\r\n\r\n".encode()


def test_a_person_who_forgot_https_is_led_there(tmp_path: Path) -> None:
    said: list[bytes] = []

    async def browser(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        whole = request("/camera/gate?hour=2026-11-30T08&model=a%20b")
        # In pieces, as a slow network brings it.
        for piece in (whole[:1], whole[1:30], whole[30:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        said.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    assert meet(tmp_path, browser) == []
    assert said[0].startswith(b"HTTP/1.1 308 ")
    assert b"\r\nLocation: https://10.77.0.10:30080/camera/gate?hour=2026-11-30T08&model=a%20b\r\n" in said[0]
    assert b"\r\nCache-Control: no-store\r\n" in said[0]


def test_who_goes_on_in_clear_after_the_answer_is_cut_off(tmp_path: Path) -> None:
    async def stubborn(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(request("/"))
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""

    assert meet(tmp_path, stubborn) == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_speaks_tls_is_served_however_his_bytes_arrive(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async def client(port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(tmp_path / "tls/tls.crt")
        context.minimum_version = context.maximum_version = version
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(coming, going, server_hostname="localhost")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        async def done(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    made = step()
                except ssl.SSLWantReadError:
                    made = None
                sent = going.read()
                # The first byte alone, and the rest in two pieces, so that some begin amid a record.
                for piece in (sent[:1], sent[1 : len(sent) // 2], sent[len(sent) // 2 :]):
                    writer.write(piece)
                    await asyncio.sleep(0.02)
                if made is not None:
                    return made
                coming.write(await reader.read(65536))

        def handshake() -> bool:
            tls.do_handshake()
            return True

        await done(handshake)
        await done(lambda: tls.write(request("/")))
        assert await done(lambda: tls.read(len(ANSWER))) == ANSWER
        writer.close()

    assert meet(tmp_path, client) == [request("/")]


@pytest.mark.parametrize(
    "said",
    [
        request("/", method="POST"),
        request("/api/search?model=objects"),  # It may hold a token, which is not to be sent in clear again.
        request("/", host=""),
        request("/", host='Host: x"><script>\r\n'),
        b"HELO there\r\n\r\n",
        b"G" * 9000,
    ],
)
def test_what_is_not_a_person_s_request_is_told_in_words(said: bytes) -> None:
    head, _, body = answer(said).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"Location" not in head
    assert body == b"Use https:// at this port\n" and b"Content-Length: %d" % len(body) in head
