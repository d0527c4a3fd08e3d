"""`http://` and `https://`: a stream of JPEGs as multipart/x-mixed-replace, which most network cameras offer."""

import base64
import http.client
import ssl
import threading
import time
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from apps.producer.jpeg import Jpeg, read_jpeg
from apps.producer.settings import Credentials
from apps.producer.sources.base import Closing, CorruptImage, OversizeImage, Shot, SourceError

TIMEOUT_SECONDS: Final = 10.0
_LONGEST_LINE: Final = 8192
_CHUNK: Final = 65536


class MjpegSource(Closing):
    """Reads every part of the stream, so that none becomes stale in a buffer, and looks only at those that are due."""

    def __init__(
        self, url: str, credentials: Credentials | None, max_image_bytes: int, stopping: threading.Event
    ) -> None:
        self._limit = max_image_bytes
        self._stopping = stopping
        parts = urlsplit(url)
        if not parts.hostname:
            raise SourceError("the URL names no host")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
        headers = {"Accept": "multipart/x-mixed-replace", "User-Agent": "argus"}
        if credentials is not None:
            pair = f"{credentials.username}:{credentials.password.get_secret_value()}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            self._connection.request("GET", target, headers=headers)
            self._answer = self._connection.getresponse()
            self._boundary = self._accept()
        except (OSError, http.client.HTTPException, ssl.SSLError) as unreachable:
            self._connection.close()
            raise SourceError(_reason(unreachable)) from None
        except SourceError:
            self._connection.close()
            raise

    def read(self, sequence: int, due: float) -> Shot | None:
        """The first image whose last byte arrives at or after `due`."""
        while not self._stopping.is_set():
            try:
                jpeg = self._part()
            except (OSError, http.client.HTTPException) as lost:
                raise SourceError(_reason(lost)) from None
            if time.monotonic() >= due:
                return Shot(image=_whole(jpeg), captured_at=datetime.now(UTC))
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _accept(self) -> bytes:
        if self._answer.status != http.client.OK:
            raise SourceError(f"the camera answers {self._answer.status} {self._answer.reason}")
        kind = self._answer.headers.get_content_type()
        boundary = self._answer.headers.get_param("boundary")
        if not kind.startswith("multipart/") or not isinstance(boundary, str):
            raise SourceError(f"the camera sends {kind}, not a multipart stream of JPEGs")
        return b"--" + boundary.strip('"').removeprefix("--").encode()

    def _part(self) -> bytes:
        line = self._line()
        while not line.startswith(self._boundary):
            line = self._line()
        length: int | None = None
        while line := self._line():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                try:
                    length = int(value)
                except ValueError:
                    raise SourceError("a part of the stream has a malformed Content-Length") from None
        return self._until_boundary() if length is None else self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        if length > self._limit:
            left = length
            while left > 0:
                left -= len(self._bytes(min(left, _CHUNK)))
            raise OversizeImage(f"a part of {length} bytes, {self._limit} are allowed")
        return self._bytes(length)

    def _bytes(self, length: int) -> bytes:
        data = self._answer.read(length)
        if len(data) < length:
            raise SourceError("the camera ended the stream")
        return data

    def _until_boundary(self) -> bytes:
        """A part without a Content-Length: it ends where a line starts with the boundary."""
        collected = bytearray()
        while True:
            line = self._answer.readline(_CHUNK)
            if not line:
                raise SourceError("the camera ended the stream")
            at_start = not collected or collected.endswith(b"\n")
            if at_start and line.startswith(self._boundary):
                self._pending = line
                return bytes(collected).removesuffix(b"\n").removesuffix(b"\r")
            collected += line
            if len(collected) > self._limit:
                raise OversizeImage(f"a part of more than {self._limit} bytes")

    _pending: bytes | None = None

    def _line(self) -> bytes:
        """The next line without its line ending."""
        line, self._pending = self._pending, None
        if line is None:
            line = self._answer.readline(_LONGEST_LINE)
        if not line:
            raise SourceError("the camera ended the stream")
        return line.rstrip(b"\r\n")


def _whole(part: bytes) -> Jpeg:
    try:
        return read_jpeg(part)
    except ValueError as broken:
        raise CorruptImage(str(broken)) from None


def _reason(error: BaseException) -> str:
    """The error without the URL."""
    if isinstance(error, TimeoutError):
        return "the camera does not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
