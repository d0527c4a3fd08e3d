"""Cameras that speak HTTP in their own ways: what they declare, logins, redirects, and silence."""

import hashlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from pydantic import SecretStr

from apps.producer.jpeg import Jpeg
from apps.producer.settings import Credentials
from apps.producer.sources import CorruptImage, NoPicture, SourceError, mjpeg, open_source
from apps.scenes import render
from tests.unit.apps.producer.certificates import certificate
from tests.unit.apps.producer.conftest import make_camera
from tests.unit.apps.producer.raw_server import RawServer, Script, answer, drip, raw_server

LIMIT = 200_000
PICTURE = cv2.imencode(".jpg", render("unit", 1, 320, 180))[1].tobytes()
PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(PICTURE), PICTURE)
MULTIPART = "multipart/x-mixed-replace; boundary=frame"
LOGIN = Credentials(username='m"e\\', password=SecretStr("p@ss:w0rd/#%\u00e9"))


def stream(content_type: str | None = MULTIPART, part: bytes = PART, **headers: str) -> Script:
    def script(server: RawServer, connection: socket.socket, request: str) -> None:
        given = headers if content_type is None else {"Content_Type": content_type, **headers}
        connection.sendall(answer(**given))
        while not server.done.wait(0.01):
            connection.sendall(part)

    return script


def first_picture(url: str, stopping: threading.Event, login: Credentials | None = None) -> bytes:
    with open_source(make_camera(url), login, LIMIT, stopping) as source:
        shot = source.read(0, 0.0)
    assert shot is not None and isinstance(shot.image, Jpeg)
    return shot.image.data


def reason(url: str, stopping: threading.Event, login: Credentials | None = None) -> str:
    with pytest.raises(SourceError) as raised:
        first_picture(url, stopping, login)
    assert "p@ss" not in str(raised.value) and "127.0.0.1" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg, "TIMEOUT_SECONDS", 0.5)


@pytest.mark.parametrize(
    "content_type",
    [
        MULTIPART,
        "multipart/x-mixed-replace",
        'multipart/x-mixed-replace;boundary="--frame"',
        "multipart/mixed; boundary=another",
        "image/jpeg",
        "video/x-motion-jpeg",
        "application/octet-stream",
        "nonsense",
        None,
    ],
)
def test_a_stream_is_one_whatever_it_is_called(stopping: threading.Event, content_type: str | None) -> None:
    with raw_server(stream(content_type)) as server:
        assert first_picture(server.url(), stopping) == PICTURE


@pytest.mark.parametrize(
    ("content_type", "headers", "told"),
    [
        ("text/html; charset=utf-8", {}, "sends text/html, not a multipart stream"),
        ("application/json", {}, "sends application/json, not a multipart stream"),
        ("image/jpeg", {"Content_Length": str(len(PICTURE))}, "that of one picture"),
    ],
)
def test_what_is_no_stream_says_so(
    stopping: threading.Event, content_type: str, headers: dict[str, str], told: str
) -> None:
    with raw_server(stream(content_type, PICTURE, **headers)) as server:
        assert told in reason(server.url(), stopping)


def test_a_stream_may_come_in_chunks(stopping: threading.Event) -> None:
    def script(server: RawServer, connection: socket.socket, request: str) -> None:
        connection.sendall(answer(Content_Type=MULTIPART, Transfer_Encoding="chunked"))
        # Chunks end amid a picture.
        for data in (PART[:300], PART[300:] + PART):
            connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        server.done.wait()

    with raw_server(script) as server:
        assert first_picture(server.url(), stopping) == PICTURE


def to(location: str, status: str = "302 Found") -> Script:
    def script(server: RawServer, connection: socket.socket, request: str) -> None:
        if request.startswith("GET /stream "):
            connection.sendall(answer(status, Location=location))
        else:
            stream()(server, connection, request)

    return script


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("location", ["/real", "real?a=b c", "./x/../real"])
def test_a_redirect_is_followed(stopping: threading.Event, status: str, location: str) -> None:
    with raw_server(to(location, status)) as server:
        assert first_picture(server.url(), stopping) == PICTURE
        assert server.requests[-1].split()[1] in {"/real", "/real?a=b%20c"}


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/stream", "more than 5 times"),
        ("", "without a place"),
        ("rtsp://admin:p@ss@127.0.0.1/x", "without a place"),
        ("http://[::1/", "without a place"),
        ("http://127.0.0.1:99999/", "without a place"),
    ],
)
def test_a_redirect_to_nowhere_says_so(stopping: threading.Event, location: str, told: str) -> None:
    with raw_server(to(location)) as server:
        assert told in reason(server.url(), stopping)


def asking(challenge: str, then: Script) -> Script:
    """Asks for a login in this way, and goes on with any."""

    def script(server: RawServer, connection: socket.socket, request: str) -> None:
        if "\r\nAuthorization: " in request:
            then(server, connection, request)
        else:
            connection.sendall(answer("401 Unauthorized", WWW_Authenticate=challenge, Content_Length="0"))

    return script


def test_another_host_is_not_told_the_login(stopping: threading.Event) -> None:
    with raw_server(asking('Basic realm="other"', stream())) as other:
        there = other.url("/real").replace("127.0.0.1", "localhost")
        with raw_server(asking('Basic realm="cam"', to(there))) as server:
            assert "401 Unauthorized" in reason(server.url(), stopping, LOGIN)
            assert "Authorization: Basic" in server.requests[-1]
    assert other.requests and not any("Authorization" in each for each in other.requests)


def test_a_login_is_sent_only_when_it_is_asked_for(stopping: threading.Event) -> None:
    with raw_server(stream()) as server:
        assert first_picture(server.url(), stopping, LOGIN) == PICTURE
        assert "Authorization" not in server.requests[0]


def hashed(algorithm: str, *parts: str) -> str:
    return hashlib.new({"MD5": "md5", "SHA-256": "sha256"}[algorithm], ":".join(parts).encode()).hexdigest()


def digest_is_right(request: str, algorithm: str, session: bool) -> bool:
    """Whether the request's Digest is that of LOGIN, computed as RFC 7616 says."""
    header = re.search(r"Authorization: Digest (.*)\r\n", request)
    assert header is not None, request
    given = {
        name: re.sub(r"\\(.)", r"\1", quoted) or plain
        for name, quoted, plain in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', header[1])
    }
    assert (given["username"], given["realm"], given["opaque"]) == (LOGIN.username, "a, realm", "o=1")
    user = hashed(algorithm, LOGIN.username, "a, realm", LOGIN.password.get_secret_value())
    if session:
        user = hashed(algorithm, user, "abc=", given["cnonce"])
    asked = hashed(algorithm, "GET", request.split()[1])
    middle = ["abc=", given["nc"], given["cnonce"], given["qop"]] if "qop" in given else ["abc="]
    return given["response"] == hashed(algorithm, user, *middle, asked) and given["uri"] == request.split()[1]


@pytest.mark.parametrize(
    ("challenge", "algorithm", "session"),
    [
        ("", "MD5", False),
        (', qop="auth"', "MD5", False),
        (', qop="auth-int,auth", algorithm=MD5', "MD5", False),
        (", algorithm=MD5-sess, qop=auth", "MD5", True),
        (", algorithm=SHA-256, qop=auth", "SHA-256", False),
        (', qop="auth"\nBasic realm="a"', "MD5", False),
        (', qop="auth", Basic realm="a"', "MD5", False),
        (', qop=auth\nDigest realm="a, realm", nonce="abc=", opaque="o=1", algorithm=SHA-256', "SHA-256", False),
    ],
)
def test_digest(stopping: threading.Event, challenge: str, algorithm: str, session: bool) -> None:
    def then(server: RawServer, connection: socket.socket, request: str) -> None:
        if digest_is_right(request, algorithm, session):
            stream()(server, connection, request)
        else:
            connection.sendall(answer("403 Forbidden"))

    asked = 'Digest realm="a, realm", nonce="abc=", opaque="o=1"' + challenge
    with raw_server(asking(asked, then)) as server:
        assert first_picture(server.url("/cgi/mjpg?channel=1&x=a,b"), stopping, LOGIN) == PICTURE


@pytest.mark.parametrize(
    ("challenge", "told"),
    [
        ('Digest realm="a", nonce="b", algorithm=SHA-512-256', "not known here"),
        ('Digest realm="a", nonce="b", qop="auth-int"', "not known here"),
        ("Negotiate", "not known here"),
        ('Digest realm="a", nonce="b"', "answers 401 Unauthorized"),
        ('Basic realm="a"', "answers 401 Unauthorized"),
    ],
)
def test_a_refused_login_says_so(stopping: threading.Event, challenge: str, told: str) -> None:
    def refuse(server: RawServer, connection: socket.socket, request: str) -> None:
        connection.sendall(answer("401 p@ss", WWW_Authenticate=challenge))

    with raw_server(refuse) as server:
        assert told in reason(server.url(), stopping, LOGIN)
        assert len(server.requests) <= 2


def test_a_certificate_that_nobody_vouches_for_says_so(stopping: threading.Event, tmp_path: Path) -> None:
    with raw_server(stream(), certificate(tmp_path, "camera", host="127.0.0.1").server) as server:
        told = reason(server.url().replace("http:", "https:"), stopping, LOGIN)
        assert "certificate is not trusted: self-signed certificate" in told.replace("self signed", "self-signed")
        assert not server.requests


def silent(server: RawServer, connection: socket.socket, request: str) -> None:
    server.done.wait()


def silent_after_headers(server: RawServer, connection: socket.socket, request: str) -> None:
    connection.sendall(answer(Content_Type=MULTIPART))
    server.done.wait()


def headers_without_end(server: RawServer, connection: socket.socket, request: str) -> None:
    drip(server, connection, answer(Content_Type=MULTIPART)[:-2] + b"X-Header: x\r\n" * 1000)


def a_part_without_end(server: RawServer, connection: socket.socket, request: str) -> None:
    connection.sendall(answer(Content_Type=MULTIPART) + PART[: len(PART) // 2])
    drip(server, connection, b"\0")


def nothing_but_texts(server: RawServer, connection: socket.socket, request: str) -> None:
    connection.sendall(answer(Content_Type=MULTIPART))
    drip(server, connection, b"--frame\r\nContent-Type: text/plain\r\n\r\nstill here\r\n", 0.001)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("script", "told"),
    [
        (silent, "not answer in time"),
        (silent_after_headers, "not answer in time"),
        (headers_without_end, "not answer in time"),
        (a_part_without_end, "no whole picture"),
        (nothing_but_texts, "no whole picture"),
    ],
)
def test_bytes_without_a_picture_are_a_reason(stopping: threading.Event, script: Script, told: str) -> None:
    with raw_server(script) as server:
        assert told in reason(server.url(), stopping)


@pytest.mark.usefixtures("hasty")
def test_a_camera_without_pictures_is_read_on(stopping: threading.Event) -> None:
    late = threading.Event()

    def script(server: RawServer, connection: socket.socket, request: str) -> None:
        connection.sendall(answer(Content_Type=MULTIPART) + PART[:200])
        while not late.wait(0.05):
            connection.sendall(b"\0")
        stream("multipart/mixed", b"\r\n" + PART)(server, connection, request)

    with raw_server(script) as server, open_source(make_camera(server.url()), None, LIMIT, stopping) as source:
        with pytest.raises(NoPicture, match="no whole picture"):
            source.read(0, 0.0)
        late.set()
        shot = read_on(source.read)
        assert isinstance(shot, Jpeg) and shot.data == PICTURE


def read_on(read: Callable[[int, float], object]) -> object:
    """The next good picture."""
    while True:
        try:
            return getattr(read(0, 0.0), "image", None)
        except CorruptImage:
            continue
