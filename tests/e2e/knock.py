"""Runs in a stranger's pod, with Python alone: tries to be served at each HOST:PORT without a certificate, a token or a
secret, and prints again and again, as JSON, where nobody accepted a connection and who served it.
"""

import json
import re
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

TIMEOUT_SECONDS = 3.0
PAUSE_SECONDS = 3.0
GADGET = "stranger.Gadget"
"""A Java class that nobody has: whoever deserializes an object of it says so."""


class Knock(NamedTuple):
    """What is sent in one of the pipeline's protocols, and a sign in the answer that it was served."""

    name: str
    sent: bytes
    sign: re.Pattern[bytes]


def spark_request(name: str = GADGET) -> bytes:
    """A request to one of Spark's endpoints, as Spark frames it, with a Java object of this class."""
    word = name.encode()
    described = b"\x72" + len(word).to_bytes(2, "big") + word + bytes(8) + b"\x02\x00\x00\x78\x70"
    endpoint = b"endpoint-verifier"
    body = b"\x00\x00" + len(endpoint).to_bytes(2, "big") + endpoint + b"\xac\xed\x00\x05\x73" + described
    framed = b"\x03" + bytes(7) + b"\x07" + len(body).to_bytes(4, "big") + body
    return (8 + len(framed)).to_bytes(8, "big") + framed


def zookeeper_session() -> bytes:
    """The beginning of a session, as a broker sends it."""
    request = struct.pack(">iqiqi16s?", 0, 0, 30_000, 0, 16, bytes(16), False)
    return struct.pack(">i", len(request)) + request


def elasticsearch_handshake(release: str = "9.0.0", version: int = 9_000_0_09) -> bytes:
    """What a node of this release sends first to another one."""
    said = _number(version) + _text(release)
    header = bytes(2) + _text("internal:tcp/handshake")
    # A request, which is a handshake, in the protocol of 9.0.
    body = struct.pack(">qBii", 1, 8, 8_800_00_0, len(header)) + header + bytes(1) + _number(len(said)) + said
    return b"ES" + struct.pack(">i", len(body)) + body


def _text(text: str) -> bytes:
    return _number(len(text)) + text.encode()


def _number(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    return bytes([value & 127 | 128]) + _number(value >> 7) if value > 127 else bytes([value])


ZOOKEEPER_SERVES = struct.pack(">ii", 37, 0)
"""How the answer to that begins: its length, and the protocol's version."""
KNOCKS = (
    Knock("HTTP", b"GET / HTTP/1.1\r\nHost: stranger\r\nConnection: close\r\n\r\n", re.compile(rb"\AHTTP/1\.. [123]")),
    # Which requests a broker knows: the first thing that a client asks.
    Knock("Kafka", b"\0\0\0\x0b\0\x12\0\0\0\0\0\7\0\1x", re.compile(rb"\A....\x00\x00\x00\x07", re.DOTALL)),
    Knock("ZooKeeper", zookeeper_session(), re.compile(rb"\A" + re.escape(ZOOKEEPER_SERVES))),
    Knock("Elasticsearch", elasticsearch_handshake(), re.compile(rb"\AES")),
    Knock("Spark", spark_request(), re.compile(re.escape(GADGET.encode()))),
)

_ANYBODY = ssl.create_default_context()
_ANYBODY.check_hostname, _ANYBODY.verify_mode = False, ssl.CERT_NONE


def answer(host: str, port: int, sent: bytes, *, encrypted: bool) -> bytes:
    """The beginning of what is answered; none where the other end does not want to talk."""
    said = b""
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_SECONDS) as plain,
            _ANYBODY.wrap_socket(plain) if encrypted else plain as connection,
        ):
            connection.sendall(sent)
            while len(said) < 65536 and (part := connection.recv(65536)):
                said += part
    except OSError:
        pass
    return said


def served(host: str, port: int) -> list[str]:
    """The protocols in which a stranger is served there."""
    return [
        f"{knock.name} {'with TLS' if encrypted else 'in plain'}"
        for knock in KNOCKS
        for encrypted in (False, True)
        if knock.sign.search(answer(host, port, knock.sent, encrypted=encrypted))
    ]


def told(targets: Iterable[str]) -> dict[str, object]:
    """Of these HOST:PORT, those that accept no connection, and how the others serve a stranger, if they do."""
    places = {each: (each.rpartition(":")[0], int(each.rpartition(":")[2])) for each in targets}
    away, serving = [], {}
    with ThreadPoolExecutor(16) as pool:
        for target, ways in zip(places, pool.map(lambda place: _tried(*place), places.values()), strict=True):
            if ways is None:
                away.append(target)
            elif ways:
                serving[target] = ways
    return {"away": away, "serving": serving}


def _tried(host: str, port: int) -> list[str] | None:
    try:
        socket.create_connection((host, port), TIMEOUT_SECONDS).close()
    except OSError:
        return None
    return served(host, port)


if __name__ == "__main__":
    while True:
        print(json.dumps(told(sys.argv[1:])), flush=True)
        time.sleep(PAUSE_SECONDS)
