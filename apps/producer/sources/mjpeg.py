"""`http://` and `https://`: a stream of JPEGs as multipart/x-mixed-replace, which most network cameras offer."""

import http.client
import ssl
import threading
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from apps.producer.jpeg import Jpeg, read_jpeg
from apps.producer.settings import Credentials, Tls
from apps.producer.sources import tls as camera_tls
from apps.producer.sources.base import Closing, CorruptImage, NoPicture, OversizeImage, Shot, SourceError
from apps.producer.sources.http_login import authorization
from apps.producer.sources.parts import Parts

TIMEOUT_SECONDS: Final = 10.0
"""The limit for a camera to connect, to answer, to send anything, and to send a whole picture."""
_CHUNK: Final = 65536
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_STREAM: Final = ("text/", "application/json", "application/xml", "application/xhtml")


class MjpegSource(Closing):
    """Reads every part of the stream, so that none becomes stale in a buffer, and looks only at those that are due."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None,
        max_image_bytes: int,
        stopping: threading.Event,
        tls: Tls | None = None,
    ) -> None:
        self._stopping = stopping
        self._tls = tls
        self._connection: http.client.HTTPConnection | None = None
        try:
            self._answer = self._open(url, credentials)
            self._parts = Parts(self._boundary(), max_image_bytes)
        except (OSError, http.client.HTTPException, ValueError) as unreachable:
            self.close()
            raise SourceError(_reason(unreachable)) from None
        except SourceError:
            self.close()
            raise
        self._last_picture = time.monotonic()

    def read(self, sequence: int, due: float) -> Shot | None:
        """The first image whose last byte arrives at or after `due`."""
        while not self._stopping.is_set():
            try:
                jpeg = self._parts.take()
            except (CorruptImage, OversizeImage):
                self._last_picture = time.monotonic()
                if self._last_picture >= due:
                    raise
                continue
            if jpeg is None:
                self._receive()
                continue
            self._last_picture = time.monotonic()
            if self._last_picture >= due:
                return Shot(image=_whole(jpeg), captured_at=datetime.now(UTC))
        return None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _receive(self) -> None:
        if time.monotonic() > self._last_picture + TIMEOUT_SECONDS:
            self._last_picture = time.monotonic()
            raise NoPicture(f"the camera sends data, but no whole picture in {TIMEOUT_SECONDS:.0f} s")
        try:
            data = self._answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException, ValueError) as lost:
            raise SourceError(_reason(lost)) from None
        if not data:
            raise SourceError("the camera ended the stream")
        self._parts.feed(data)

    def _open(self, url: str, credentials: Credentials | None) -> http.client.HTTPResponse:
        """Ask for the stream, with the login if it is asked for, and where the camera says that it is."""
        place = urlsplit(url)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._ask(place, None)
            if answer.status == HTTPStatus.UNAUTHORIZED and credentials is not None:
                asked = answer.headers.get_all("WWW-Authenticate", [])
                header = authorization(asked, credentials, "GET", _target(place))
                if header is None:
                    raise SourceError("the camera asks for a login in a way that is not known here")
                answer = self._ask(place, header)
            if answer.status not in _REDIRECTS:
                return answer
            moved = _moved(place, answer)
            if (moved.scheme, moved.hostname) not in ((place.scheme, place.hostname), ("https", place.hostname)):
                # Another host, or one that is reached without TLS, is not told the login.
                credentials = None
            place = moved
        raise SourceError(f"the camera redirects more than {_MOST_REDIRECTS} times")

    def _ask(self, place: SplitResult, login: bytes | None) -> http.client.HTTPResponse:
        """The answer's status and headers, or SourceError if they do not come in time, however slowly it sends them."""
        self.close()
        if not place.hostname:
            raise SourceError("the URL names no host")
        if place.scheme == "https":
            self._connection = _Encrypted(place.hostname, place.port, self._tls)
        else:
            self._connection = http.client.HTTPConnection(place.hostname, place.port, timeout=TIMEOUT_SECONDS)
        headers: dict[str, str | bytes] = {
            "Accept": "multipart/x-mixed-replace, image/jpeg, */*",
            "User-Agent": "argus",
        }
        if login is not None:
            headers["Authorization"] = login
        late = threading.Event()
        watch = threading.Timer(TIMEOUT_SECONDS, _end, (self._connection, late))
        watch.daemon = True
        watch.start()
        try:
            self._connection.request("GET", _target(place), headers=headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException):
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            watch.cancel()

    def _boundary(self) -> str | None:
        """The boundary that the answer declares. Raises SourceError if the answer is no stream."""
        headers = self._answer.headers
        if self._answer.status != HTTPStatus.OK:
            phrase = http.client.responses.get(self._answer.status, "")
            raise SourceError(f"the camera answers {self._answer.status} {phrase}".rstrip())
        # As the camera wrote it: the standard library takes what it does not know for text/plain.
        kind = ascii(headers.get("Content-Type", "").partition(";")[0].strip().lower()[:60])[1:-1]
        if kind.startswith(_NO_STREAM):
            raise SourceError(f"the camera sends {kind}, not a multipart stream of JPEGs")
        if kind.startswith("image/") and headers.get("Content-Length"):
            raise SourceError(f"the URL is that of one picture ({kind}), not of a stream of them")
        boundary = headers.get_param("boundary")
        return boundary.strip('"') if isinstance(boundary, str) else None


class _Encrypted(http.client.HTTPSConnection):
    """A connection that checks the camera's certificate before anything is sent through it."""

    def __init__(self, host: str, port: int | None, tls: Tls | None) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS, context=camera_tls.context(tls))
        self._tls = tls

    def connect(self) -> None:
        super().connect()
        camera_tls.check(self.sock, self._tls)


def _target(place: SplitResult) -> str:
    path = quote(place.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return path + (f"?{quote(place.query, safe='/?%:@!$&()*+,;=~-._')}" if place.query else "")


def _moved(place: SplitResult, answer: http.client.HTTPResponse) -> SplitResult:
    """Where the camera says that the stream is."""
    location = answer.headers.get("Location", "")
    try:
        moved = urlsplit(urljoin(place.geturl(), location))
        usable = bool(location and moved.hostname and moved.port != 0) and moved.scheme in ("http", "https")
    except ValueError:
        usable = False
    if not usable:
        raise SourceError(f"the camera answers {answer.status} without a place where its stream is")
    return moved


def _end(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """End a connection that another thread is waiting for."""
    late.set()
    if connection.sock is not None:
        camera_tls.end(connection.sock)


def _whole(part: bytes) -> Jpeg:
    try:
        return read_jpeg(part)
    except ValueError as broken:
        raise CorruptImage(str(broken)) from None


def _reason(error: BaseException) -> str:
    """The error without the URL."""
    if isinstance(error, TimeoutError):
        return "the camera does not answer in time"
    if isinstance(error, ssl.SSLError):
        return camera_tls.reason(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
