"""Messages between a worker and the process of a user's code: a four-byte length, then the content."""

import socket
import struct
from collections.abc import Callable

_LENGTH = struct.Struct("!I")


def _patiently() -> None:
    """Keep waiting."""


def write(end: socket.socket, message: bytes, waiting: Callable[[], None] = _patiently) -> None:
    """Send a whole message. Raises OSError if the other end is closed.

    On a socket with a timeout, `waiting` is called at each timeout and can end the wait by raising.
    """
    left = memoryview(_LENGTH.pack(len(message)) + message)
    while left:
        try:
            left = left[end.send(left) :]
        except TimeoutError:
            waiting()


def read(end: socket.socket, most: int, waiting: Callable[[], None] = _patiently) -> bytes:
    """Receive a message. Raises EOFError if the other end is closed, ValueError above `most` bytes.

    `waiting` is as for `write`.
    """
    (length,) = _LENGTH.unpack(_exactly(end, _LENGTH.size, waiting))
    if length > most:
        raise ValueError(f"a message of {length} bytes, more than {most}")
    return _exactly(end, length, waiting)


def _exactly(end: socket.socket, count: int, waiting: Callable[[], None]) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            part = end.recv(count - len(data))
        except TimeoutError:
            waiting()
            continue
        if not part:
            raise EOFError
        data += part
    return bytes(data)
