"""Cameras that are reached through TLS: whose certificate is accepted, and what is said where it is not."""

import contextlib
import dataclasses
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from apps.producer.camera import CameraWorker
from apps.producer.pace import Backoff
from apps.producer.settings import Credentials
from apps.producer.sources import SourceError, mjpeg, open_source, tls, video
from tests.unit.apps.producer.certificates import Certificate, certificate
from tests.unit.apps.producer.conftest import FakeSender, make_camera
from tests.unit.apps.producer.raw_server import raw_server, serving
from tests.unit.apps.producer.rtsp_server import RtspCamera, rtsp_camera
from tests.unit.apps.producer.test_mjpeg import stream
from tests.unit.apps.producer.test_rtsp import PICTURES
from tests.unit.waiting import wait_for

LIMIT = 200_000
LOGIN = Credentials(username="me", password=SecretStr("p@ss"))
HERE = "127.0.0.1"


@dataclasses.dataclass
class Camera:
    """A camera behind TLS, and the requests that it got."""

    url: str
    requests: list[str]


Serve = Callable[[ssl.SSLContext], contextlib.AbstractContextManager[Camera]]


@contextlib.contextmanager
def mjpeg_through(context: ssl.SSLContext) -> Iterator[Camera]:
    with raw_server(stream(), context) as server:
        yield Camera(server.url(), server.requests)


@contextlib.contextmanager
def rtsp_through(context: ssl.SSLContext) -> Iterator[Camera]:
    with rtsp_camera(RtspCamera(PICTURES, tls=context)) as camera:
        yield Camera(camera.url, camera.requests)


@pytest.fixture(params=[mjpeg_through, rtsp_through], ids=["https", "rtsps"])
def serve(request: pytest.FixtureRequest) -> Serve:
    made: Serve = request.param
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Certificate:
    return certificate(folder, "authority")


@pytest.fixture(scope="module")
def own(folder: Path) -> Certificate:
    """As a camera leaves its factory: signed by itself, for no name that anybody uses, and ended."""
    return certificate(folder, "own", old=True)


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    stopping = threading.Event()
    yield stopping
    stopping.set()


def pictures(url: str, stopping: threading.Event, count: int = 3, **given: object) -> int:
    """The number of pictures that come, up to `count`."""
    camera = make_camera(url, frames_per_second=20, **({"tls": given} if given else {}))
    with open_source(camera, LOGIN, LIMIT, stopping) as source:
        shots = [source.read(number, time.monotonic()) for number in range(count)]
    return sum(shot is not None for shot in shots)


def reason(camera: Camera, stopping: threading.Event, **given: object) -> str:
    """Why the camera is not read; nothing was sent to it then."""
    with pytest.raises(SourceError) as raised:
        pictures(camera.url, stopping, **given)
    assert HERE not in str(raised.value)
    assert camera.requests == []
    return str(raised.value).replace("self signed", "self-signed")


def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Serve, stopping: threading.Event, folder: Path
) -> None:
    with serve(certificate(folder, "nobody", host=HERE).server) as camera:
        told = reason(camera, stopping)
    assert told.startswith("the camera's certificate is not trusted: self-signed certificate; ")
    assert told.endswith("give its entry of argus:cameras a tls.ca or a tls.fingerprint")


def test_an_authority_of_ones_own(
    serve: Serve, stopping: threading.Event, authority: Certificate, folder: Path
) -> None:
    signed = certificate(folder, "signed", host=HERE, by=authority)
    with serve(signed.server) as camera:
        assert "not trusted: unable to get local issuer certificate" in reason(camera, stopping)
        other = certificate(folder, "other").pem
        assert "not trusted: unable to get local issuer certificate" in reason(camera, stopping, ca=other)
        assert pictures(camera.url, stopping, ca=other + authority.pem) == 3


def test_the_camera_s_own_certificate_may_be_given_as_the_authority(
    serve: Serve, stopping: threading.Event, authority: Certificate, folder: Path
) -> None:
    signed = certificate(folder, "leaf", host=HERE, by=authority)
    with serve(signed.server) as camera:
        assert pictures(camera.url, stopping, ca=signed.pem) == 3


@pytest.mark.parametrize(
    ("case", "told"),
    [("another name", "it names another host than the URL"), ("ended", "certificate has expired")],
)
def test_an_authority_does_not_vouch_for_everything(
    serve: Serve, stopping: threading.Event, authority: Certificate, case: str, told: str
) -> None:
    host, old = ("127.0.0.2", False) if case == "another name" else (HERE, True)
    with serve(certificate(authority.key.parent, "refused", host=host, by=authority, old=old).server) as camera:
        assert told in reason(camera, stopping, ca=authority.pem)


def test_a_pinned_certificate_and_no_other(
    serve: Serve, stopping: threading.Event, own: Certificate, authority: Certificate, folder: Path
) -> None:
    signed = certificate(folder, "vouched-for", host=HERE, by=authority)
    with serve(signed.server) as camera:
        told = reason(camera, stopping, fingerprint=own.fingerprint)
        assert "another certificate than that of tls.fingerprint" in told
        (shown,) = re.findall("[0-9a-f]{64}", told)
        assert pictures(camera.url, stopping, fingerprint=shown) == 3
    with serve(own.server) as camera:
        written = ":".join(re.findall("..", own.fingerprint.upper()))
        assert pictures(camera.url, stopping, fingerprint=f"sha256 Fingerprint={written}") == 3


def test_none_is_checked_where_the_stack_says_so(serve: Serve, stopping: threading.Event, own: Certificate) -> None:
    with serve(own.server) as camera:
        assert pictures(camera.url, stopping, verify=False) == 3


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_an_old_camera_s_tls(serve: Serve, stopping: threading.Event, own: Certificate) -> None:
    context = own.server
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    with serve(context) as camera:
        told = reason(camera, stopping, fingerprint=own.fingerprint)
        assert told.startswith("TLS with the camera fails: ") and "protocol" in told
        assert pictures(camera.url, stopping, verify=False) == 3


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_a_port_without_tls_says_so(stopping: threading.Event, scheme: str) -> None:
    def speak(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            connection.recv(4096)

    with socket.create_server((HERE, 0)) as listening, serving(listening, speak, stopping):
        camera = Camera(f"{scheme}://{HERE}:{listening.getsockname()[1]}/live", [])
        assert reason(camera, stopping) == "the camera does not speak TLS at this port"


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_silence_is_a_reason(stopping: threading.Event, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(video, "OPEN_TIMEOUT_SECONDS", 0.5)
    with (
        socket.create_server((HERE, 0)) as listening,
        serving(listening, lambda connection: [stopping.wait(), connection.close()], stopping),
    ):
        camera = Camera(f"{scheme}://{HERE}:{listening.getsockname()[1]}/live", [])
        assert "does not answer in time" in reason(camera, stopping)


@pytest.mark.parametrize("silent_after", ["DESCRIBE", "PLAY"])
def test_silence_behind_tls_is_a_reason(
    stopping: threading.Event, own: Certificate, silent_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPEN_TIMEOUT_SECONDS", "READ_TIMEOUT_SECONDS"):
        monkeypatch.setattr(video, name, 1.0)
    with (
        rtsp_camera(RtspCamera(PICTURES, tls=own.server, silent_after=silent_after)) as camera,
        pytest.raises(SourceError, match="does not answer in time"),
    ):
        pictures(camera.url, stopping, verify=False)


def test_a_camera_that_redirects_does_not_lead_to_tls_that_nobody_checks(
    stopping: threading.Event, own: Certificate
) -> None:
    with rtsp_through(own.server) as hidden, rtsp_camera(RtspCamera(PICTURES, location=hidden.url)) as camera:
        with pytest.raises(SourceError, match="redirects to where its certificate would not be checked"):
            pictures(camera.url, stopping)
        assert any(request.startswith("DESCRIBE") for request in camera.requests)
        assert hidden.requests == []


def test_the_state_of_a_camera_says_it(serve: Serve, stopping: threading.Event, own: Certificate) -> None:
    with serve(own.server) as camera:
        made = make_camera(camera.url)
        worker = CameraWorker(
            made,
            lambda: open_source(made, None, LIMIT, stopping),
            FakeSender(),
            stopping,
            max_frame_bytes=LIMIT,
            backoff=Backoff(first=0.01),
        )
        worker.start()
        wait_for(lambda: worker.status.state == "backoff")
        stopping.set()
        worker.join(5)
    assert worker.status.error is not None and "certificate is not trusted" in worker.status.error


def test_a_relay_passes_everything_both_ways(stopping: threading.Event, own: Certificate) -> None:
    """Also what the program says last, before it ends."""
    sent, received = bytes(range(256)) * 20_000, bytearray()
    whole = threading.Event()

    def echo(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), own.server.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.sendall(sent)
            while data := encrypted.recv(65536):
                received.extend(data)
            whole.set()

    with socket.create_server((HERE, 0)) as listening, serving(listening, echo, stopping):
        given = make_camera("rtsps://camera", tls={"verify": False}).tls
        relay = tls.Relay(tls.connect(HERE, listening.getsockname()[1], given, 10), 10)
        with socket.create_connection((HERE, relay.port)) as program:
            came = bytearray()
            while len(came) < len(sent):
                came += program.recv(65536)
            program.sendall(sent)
        relay.close()
        assert whole.wait(10)
    assert came == received == sent
    with pytest.raises(OSError):
        socket.create_connection((HERE, relay.port)).close()
