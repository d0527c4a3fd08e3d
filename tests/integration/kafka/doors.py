"""What a stranger tries at each port of a ZooKeeper member, as the protocol has it, with a certificate or without."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

from components.pipeline.kafka_identities import AUTHORITY, PAIR
from tests.e2e.knock import ZOOKEEPER_SERVES, zookeeper_session

TIMEOUT_SECONDS = 30
STRANGER = 99
"""The number that a stranger among members has."""
_OBSERVER_INFO, _LEADER_INFO, _PROTOCOL = 16, 17, 0x10000
_ELECTION_PROTOCOL = -65536
_LOOKING = 0

Door = Callable[[int, ssl.SSLContext | None], bool]
"""Whether whoever tries it at a port, in plain or with a certificate, is answered."""


def with_certificate(folder: Path | None) -> ssl.SSLContext:
    """A client with the certificate in this folder, or with none; it takes whomever it finds."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if folder is not None:
        context.load_cert_chain(folder / PAIR)
        context.load_verify_locations(folder / AUTHORITY)
    return context


def role(port: int, context: ssl.SSLContext | None) -> str | None:
    """What a member says it is (`leader`, `follower`) at a client's port; None where it serves nobody at present, or
    not this client."""
    answer = _asked(port, context, b"srvr")
    found = re.search(rb"^Mode: (\w+)$", answer, re.MULTILINE)
    return found[1].decode() if found else None


def reads(port: int, context: ssl.SSLContext | None) -> bool:
    """Begin a session, as a broker does."""
    return _asked(port, context, zookeeper_session(), enough=8)[:8] == ZOOKEEPER_SERVES


def observes(port: int, context: ssl.SSLContext | None) -> bool:
    """Join as an observer, which gets everything that ZooKeeper keeps; at the leader's port for members."""
    info = struct.pack(">qiq", STRANGER, _PROTOCOL, 0)
    packet = struct.pack(">iqi", _OBSERVER_INFO, 0, len(info)) + info + struct.pack(">i", -1)
    return _asked(port, context, packet, enough=4) == struct.pack(">i", _LEADER_INFO)


def votes(port: int, context: ssl.SSLContext | None) -> bool:
    """Take part in an election: propose a leader, and be told of the one that there is."""
    address = b"127.0.0.1:9"
    greeting = struct.pack(">qqi", _ELECTION_PROTOCOL, STRANGER, len(address)) + address
    proposal = struct.pack(">iqqq", _LOOKING, STRANGER, 0, 1)
    answer = _asked(port, context, greeting + struct.pack(">i", len(proposal)) + proposal, enough=8)
    # The answer's length, and a state that is one.
    return len(answer) == 8 and answer[:2] == bytes(2) and int.from_bytes(answer[4:]) in range(4)


def _asked(port: int, context: ssl.SSLContext | None, question: bytes, *, enough: int = 65536) -> bytes:
    """The first bytes of the answer; none where the other end does not want to talk.

    Raises TimeoutError where it says neither, which is no refusal.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as plain:
            if context is None:
                return _talk(plain, question, enough)
            with context.wrap_socket(plain) as encrypted:
                return _talk(encrypted, question, enough)
    except (ConnectionError, ssl.SSLError):
        return b""


def _talk(there: socket.socket, question: bytes, enough: int) -> bytes:
    there.sendall(question)
    answer = b""
    while len(answer) < enough and (more := there.recv(enough - len(answer))):
        answer += more
    return answer
