"""Every app's HTTP server, over real connections: in plain and, with the same limits, over TLS."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

import pytest
from prometheus_client import CollectorRegistry, Counter

from apps.service import http as module
from apps.service.certificate import Certificate
from apps.service.health import STALLED_SECONDS, healthy, poll_health
from apps.service.http import METRICS, NOT_WELL, WELL, Answer, Request, Server, as_json, metrics_handler, probes
from apps.service.peer import TLS_VERSION, Door, trust
from apps.service.settings import SettingsError
from apps.service.token import HEADER, Token
from tests.certificates import AUTHORITY, HERE, PodAuthority
from tests.environments import TOKEN_FILE
from tests.unit.waiting import wait_for

TOKEN = Token(TOKEN_FILE)
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Opened(io.BytesIO):
    """A file that records whether it is open."""


class App:
    """An app's own paths: `/said` repeats a body, `/file` is a file. The others are probes."""

    def __init__(self) -> None:
        self.well = True
        self.files: list[Opened] = []
        self.size = 100_000
        self.asked: list[str] = []
        registry = CollectorRegistry()
        Counter("frames", "Frames.", registry=registry).inc(3)
        self._probes = probes(lambda: healthy(self.well, "so it is\n"), lambda: healthy(False, "not yet\n"))
        self._metrics = metrics_handler(registry)

    def answer(self, request: Request) -> Answer:
        self.asked.append(request.path)
        if request.path == "/said":
            return as_json({"method": request.method, "body": request.body.decode()})
        if request.path == "/file":
            self.files.append(Opened(b"x" * self.size))
            return Answer(body=self.files[-1], content_type="image/jpeg", cache="immutable")
        if request.path == "/broken":
            raise ZeroDivisionError
        return (self._metrics if request.path == METRICS else self._probes)(request)


class Served:
    """A server, and clients that reach it in its way."""

    def __init__(self, app: App, folder: Path | None = None) -> None:
        """Over TLS with the certificate in the folder, or in plain."""
        self.door = None if folder is None else Door(TOKEN, Certificate(folder, TLS_VERSION))
        self.trust = None if folder is None else trust(folder / AUTHORITY)
        self.headers = NO_HEADERS if folder is None else TOKEN.headers
        self.server = Server(0, app.answer, self.door, max_body=module.MAX_BODY)

    def stranger(self) -> socket.socket:
        """A connection from another address than the tests' own, without TLS."""
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=10, source_address=("127.0.0.2", 0))

    def speaking(self, connection: socket.socket, name: str = "localhost") -> socket.socket:
        """The connection as a client of the stack goes on with it."""
        return connection if self.trust is None else self.trust.wrap_socket(connection, server_hostname=name)

    def connect(self, name: str = "localhost") -> socket.socket:
        return self.speaking(socket.create_connection(("127.0.0.1", self.server.port), timeout=10), name)

    def open(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        connection.sock = self.connect()
        return connection

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = self.open()
        try:
            connection.request(method, path, body, dict(self.headers if headers is None else headers))
            response = connection.getresponse()
            return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()

    @property
    def channels(self) -> list[module._Channel]:
        return list(self.server._server.active_channels.values())


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture(scope="module")
def authority() -> PodAuthority:
    return PodAuthority()


@pytest.fixture
def folder(authority: PodAuthority, tmp_path: Path) -> Path:
    """The key and certificate of a server here."""
    return authority.write(tmp_path / "tls", *HERE)


@pytest.fixture(params=["plain", "tls"])
def served(request: pytest.FixtureRequest, app: App) -> Iterator[Served]:
    started = Served(app, request.getfixturevalue("folder") if request.param == "tls" else None)
    yield started
    started.server.close()


@pytest.fixture
def encrypted(app: App, folder: Path) -> Iterator[Served]:
    started = Served(app, folder)
    yield started
    started.server.close()


def test_probes_say_no_more_than_whether_and_the_log_says_why(
    served: Served, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    assert served.ask("/healthz?verbose")[:2] == (200, b"well\n")
    app.well = False
    for _ in range(2):
        assert served.ask("/healthz")[:2] == (503, b"not well\n")
        assert served.ask("/readyz")[:2] == (503, b"not well\n")
    said = [record.getMessage() for record in caplog.records if "answered" in record.getMessage()]
    assert said == ["/healthz is answered with 503: so it is", "/readyz is answered with 503: not yet"], "once each"
    app.well = True
    assert served.ask("/healthz")[0] == 200
    app.well = False
    assert served.ask("/healthz")[0] == 503
    assert caplog.records[-1].getMessage() == said[0], "again, as it was well meanwhile"


def test_metrics_are_those_of_the_app(served: Served) -> None:
    status, text, headers = served.ask("/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b"frames_total 3.0" in text


def test_what_the_app_adds(served: Served) -> None:
    status, text, headers = served.ask("/said", "POST", "a word")
    assert (status, text) == (200, b'{"method": "POST", "body": "a word"}')
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "server" not in headers
    assert served.ask("/other")[:2] == (404, b'{"error": "not found"}')


@pytest.mark.parametrize("size", [1, 16_384, 100_000, 5_000_000])
def test_a_file_is_sent_whole_and_closed(served: Served, app: App, size: int) -> None:
    app.size = size
    status, data, headers = served.ask("/file")
    assert (status, data == b"x" * size, headers["content-length"]) == (200, True, str(size))
    assert (headers["content-type"], headers["cache-control"]) == ("image/jpeg", "immutable")
    status, data, headers = served.ask("/file", "HEAD")
    assert (status, data, headers["content-length"]) == (200, b"", str(size))
    wait_for(lambda: all(file.closed for file in app.files))


def test_a_connection_is_used_again(served: Served) -> None:
    connection = served.open()
    for body in ("a", "b" * 100_000, "c"):
        connection.request("POST", "/said", body, dict(served.headers))
        assert f'"body": "{body}"'.encode() in connection.getresponse().read()
    assert len(served.channels) == 1
    connection.close()


def test_what_the_app_breaks_on_is_one_answer(served: Served) -> None:
    assert served.ask("/broken")[0] == HTTPStatus.INTERNAL_SERVER_ERROR
    assert served.ask("/healthz")[0] == 200


def test_a_body_has_a_limit(served: Served) -> None:
    connection = served.open()
    connection.putrequest("POST", "/said")
    connection.putheader("Content-Length", str(module.MAX_BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_many_connections_of_one_address_do_not_keep_a_probe_out(served: Served) -> None:
    idle = [served.stranger() for _ in range(module.MAX_CONNECTIONS + 10)]
    try:
        assert served.ask("/healthz")[0] == 200
        assert idle[-1].recv(1) == b"", "one too many is closed at once"
        idle[0] = served.speaking(idle[0])
        shown = "".join(f"{name}: {value}\r\n" for name, value in served.headers.items())
        idle[0].sendall(f"GET /healthz HTTP/1.0\r\n{shown}\r\n".encode())
        assert idle[0].recv(15).startswith(b"HTTP/1.0 200"), "those before are served"
    finally:
        for each in idle:
            each.close()


@pytest.mark.parametrize(
    "sent", [b"G", b"GET /healthz HTTP/1.1\r\nX: ", b"POST /said HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_request_that_never_ends_is_cut_off_however_lively_it_is(served: Served, sent: bytes) -> None:
    with served.speaking(served.stranger()) as slow:
        slow.sendall(sent)
        # Until it is received, nothing is cut off.
        wait_for(lambda: any(each.busy for each in served.channels))
        (channel,) = (each for each in served.channels if each.busy)
        channel.last_activity = channel.begun + module.EXCHANGE_SECONDS + 1
        served.server._close_slow(channel.begun + module.EXCHANGE_SECONDS - 1)
        assert channel in served.channels
        served.server._close_slow(channel.begun + module.EXCHANGE_SECONDS + 1)
        assert slow.recv(1) == b""
    assert served.ask("/healthz")[0] == 200


def test_an_answer_that_nobody_reads_is_cut_off(served: Served, app: App) -> None:
    app.size = 50_000_000
    with served.speaking(served.stranger()) as slow:
        shown = "".join(f"{name}: {value}\r\n" for name, value in served.headers.items())
        slow.sendall(f"GET /file HTTP/1.1\r\nHost: x\r\n{shown}\r\n".encode())
        wait_for(lambda: app.files and any(each.total_outbufs_len for each in served.channels))
        (channel,) = (each for each in served.channels if each.total_outbufs_len)
        served.server._close_slow(channel.begun + module.EXCHANGE_SECONDS + 1)
        wait_for(lambda: channel not in served.channels)
    assert app.files[0].closed


def test_headers_have_a_limit(served: Served) -> None:
    connection = served.open()
    connection.request("GET", "/healthz", headers={"X-Long": "x" * module.MAX_HEADERS})
    assert connection.getresponse().status == 431
    connection.close()


def test_a_closed_server_takes_nobody_in(app: App, folder: Path) -> None:
    for where in (None, folder):
        served = Served(app, where)
        served.server.close()
        with pytest.raises(OSError, match="refused"):
            served.ask("/healthz")


def test_a_process_is_not_well_once_its_other_server_has_ended(
    app: App, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Served(app, folder)
    third = Server(0, app.answer)
    handler = probes(lambda: healthy(True, "ok"), lambda: healthy(True, "ok"), beside=[third, other.server])
    probed = Server(0, handler)

    def asked(path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", probed.port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    try:
        assert asked("/healthz") == (200, WELL)
        other.server.close()
        wait_for(lambda: not other.server.alive)
        for path in ("/healthz", "/readyz"):
            assert asked(path) == (503, NOT_WELL)
        assert f"the server on port {other.server.port} has ended" in caplog.text
    finally:
        probed.close()
        third.close()


def test_with_a_door_who_does_not_show_the_token_is_told_nothing(encrypted: Served, app: App) -> None:
    for path in ("/said", "/other", "/healthz", "/metrics", "/healthz/../said"):
        assert encrypted.ask(path, headers={})[0] == 401
        assert encrypted.ask(path, headers={HEADER: "another"})[0] == 401
    assert app.asked == []
    assert encrypted.ask("/said", headers=TOKEN.headers)[0] == 200
    assert encrypted.ask("/other", headers=TOKEN.headers)[0] == 404


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_may_also_be_shown_as_prometheus_does(encrypted: Served, scheme: str) -> None:
    token = TOKEN.headers[HEADER]
    assert encrypted.ask("/metrics", headers={"Authorization": f"{scheme} {token}"})[0] == 200
    for other in (f"{scheme} {token}x", f"{scheme}", f"Basic {token}", token, f"{scheme} "):
        assert encrypted.ask("/metrics", headers={"Authorization": other})[0] == 401
    # Whoever shows both is judged by Argus's own.
    both = {HEADER: "another", "Authorization": f"{scheme} {token}"}
    assert encrypted.ask("/metrics", headers=both)[0] == 401


def test_who_asks_in_plain_is_not_answered_even_with_the_token(encrypted: Served, app: App) -> None:
    shown = "".join(f"{name}: {value}\r\n" for name, value in TOKEN.headers.items())
    with encrypted.stranger() as plain:
        plain.sendall(f"GET /said HTTP/1.1\r\nHost: x\r\n{shown}\r\n".encode())
        assert answer(plain) == b""
    assert app.asked == []
    assert encrypted.ask("/said")[0] == 200


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other end closes the connection, in whichever way."""
    found = b""
    try:
        while data := connection.recv(1000):
            found += data
    except ConnectionError:
        pass
    return found


def test_a_client_knows_the_server_by_its_authority_and_its_name(encrypted: Served, app: App, tmp_path: Path) -> None:
    for name in HERE:
        encrypted.connect(name).close()
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        encrypted.connect("consumer-0.consumer")
    encrypted.trust = trust(PodAuthority().write(tmp_path / "another", *HERE) / AUTHORITY)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self.signed|signature failure"):
        encrypted.ask("/said")
    assert app.asked == []


def test_a_certificate_that_a_server_shows_vouches_for_no_other(
    app: App, folder: Path, authority: PodAuthority
) -> None:
    """Who has the key of one kind of pods cannot make certificates for another kind."""
    forger = PodAuthority()
    forger._pem = (folder / "tls.crt").read_text() + (folder / "tls.key").read_text()
    genuine = trust(folder / AUTHORITY)
    forged = forger.write(folder.parent / "forged", *HERE)
    chain = (forged / "tls.crt").read_text() + (folder / "tls.crt").read_text()
    (forged / "tls.crt").write_text(chain)
    served = Served(app, forged)
    served.trust = genuine
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            served.ask("/said")
    finally:
        served.server.close()


def test_an_older_tls_is_refused_by_both(encrypted: Served, folder: Path) -> None:
    assert encrypted.trust is not None
    with encrypted.connect() as connection:
        assert isinstance(connection, ssl.SSLSocket) and connection.version() == "TLSv1.3"
    old = ssl.create_default_context(cafile=folder / AUTHORITY)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with encrypted.stranger() as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(plain, server_hostname="localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = encrypted.trust.wrap_bio(there, here, server_hostname="localhost")
    answering = server.wrap_bio(here, there, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        asking.do_handshake()
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        answering.do_handshake()


def test_a_renewed_certificate_is_shown_to_the_next_client_and_nobody_is_cut_off(
    encrypted: Served, authority: PodAuthority, folder: Path
) -> None:
    connection = encrypted.open()

    def serial(connection: http.client.HTTPConnection) -> object:
        assert isinstance(connection.sock, ssl.SSLSocket)
        return (connection.sock.getpeercert() or {})["serialNumber"]

    before = serial(connection)
    authority.write(folder, *HERE)
    encrypted.server._maintain(time.time())
    later = encrypted.open()
    assert serial(later) != before
    for each in (connection, later):
        each.request("GET", "/said", headers=dict(TOKEN.headers))
        assert each.getresponse().read()
        each.close()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01"])
def test_who_never_finishes_the_handshake_is_cut_off(encrypted: Served, sent: bytes) -> None:
    with encrypted.stranger() as slow:
        slow.sendall(sent)
        wait_for(lambda: encrypted.channels)
        (channel,) = encrypted.channels
        encrypted.server._close_slow(channel.creation_time + module.IDLE_SECONDS - 1)
        assert not channel.will_close
        encrypted.server._close_slow(channel.creation_time + module.IDLE_SECONDS + 1)
        assert answer(slow) == b""
    assert encrypted.ask("/said")[0] == 200


def test_who_is_gone_before_the_handshake_ends_nothing(encrypted: Served) -> None:
    for _ in range(20):
        gone = encrypted.stranger()
        # Closed without a farewell: the server finds it gone when it takes the connection in, or later.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        gone.close()
    assert encrypted.ask("/said")[0] == 200


def test_what_cannot_be_trusted_or_shown_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ARGUS_AUTHORITY_FILE: .*/none cannot be used"):
        trust(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(SettingsError, match=r"ARGUS_AUTHORITY_FILE: .*/empty cannot be used"):
        trust(tmp_path / "empty")
    with pytest.raises(SettingsError, match=r"tls\.crt and tls\.key cannot be used"):
        Certificate(tmp_path, TLS_VERSION)


def test_a_loop_that_stopped_polling_is_not_well() -> None:
    assert poll_health(STALLED_SECONDS - 1)[0] == HTTPStatus.OK
    assert poll_health(STALLED_SECONDS) == (HTTPStatus.SERVICE_UNAVAILABLE, "the last poll was 120.0 s ago\n")
