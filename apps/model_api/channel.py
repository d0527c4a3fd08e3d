"""Messages between a worker and the process of a user's code: four bytes of length, then so many bytes."""

import socket
import struct
from collections.abc import Callable

_LENGTH = struct.Struct("!I")


def _patiently() -> None:
    """Wait on."""


def write(end: socket.socket, message: bytes, waiting: Callable[[], None] = _patiently) -> None:
    """Send a message whole. Raises OSError where nobody reads it.

    On a socket with a timeout, `waiting` is called each time that it runs out, and ends the wait by raising.
    """
    left = memoryview(_LENGTH.pack(len(message)) + message)
    while left:
        try:
            left = left[end.send(left) :]
        except TimeoutError:
            waiting()


def read(end: socket.socket, most: int, waiting: Callable[[], None] = _patiently) -> bytes:
    """The next message. Raises EOFError where none comes, ValueError where it has more than `most` bytes.

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
