"""Producers with the same camera agree on which of them reads it. Their HTTP is real, their cameras are scripted."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from types import SimpleNamespace

import pytest

from apps.messages import Frame
from apps.producer import handover as module
from apps.producer.camera import CameraWorker
from apps.producer.handover import Address, Handover
from apps.producer.sources import Shot
from apps.producer.sources.base import Closing
from apps.producer.web import describe, serve
from apps.scenes import render
from apps.service.certificate import Certificate
from apps.service.peer import TLS_VERSION, Client, Door, trust
from apps.service.token import HEADER, Token
from tests.certificates import AUTHORITY as CA
from tests.certificates import HERE, PodAuthority, of_pods
from tests.environments import AUTHORITY_FILE, TOKEN_FILE
from tests.unit.apps.producer.conftest import FakeSender, make_camera
from tests.unit.waiting import wait_for

IMAGE = render("unit", 1, 64, 64)
POD = Client(Token(TOKEN_FILE), trust(AUTHORITY_FILE))
DOOR = Door(POD.token, Certificate(of_pods(), TLS_VERSION))
AUTHORITY = PodAuthority()


class Endless(Closing):
    """A source that has every picture that is due, while its gate is open."""

    def __init__(self, go_on: threading.Event, held: threading.Event) -> None:
        self._go_on = go_on
        self._held = held

    def read(self, sequence: int, due: float) -> Shot | None:
        if not self._go_on.is_set():
            self._held.set()
            self._go_on.wait(60)
        time.sleep(max(0.0, due - time.monotonic()))
        return Shot(image=IMAGE, captured_at=datetime.now(UTC))

    def close(self) -> None:
        pass


class Producer:
    """A producer of these cameras on a separate port."""

    def __init__(self, me: str, started: float, cameras: list[str], pod: Client = POD) -> None:
        self.me = me
        self.sender = FakeSender()
        self.stopping = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.held = {name: threading.Event() for name in cameras}
        self.workers = [
            CameraWorker(
                make_camera("rtsp://10.0.0.1/x", name=name, frames_per_second=60),
                partial(Endless, self.go_on, held),
                self.sender,
                threading.Event(),
                max_frame_bytes=100_000,
            )
            for name, held in self.held.items()
        ]
        self.peers: list[Address] = []
        self.handover = Handover(me, self.peers, self.workers, pod, started)
        self.server = serve(0, self.workers, self.handover, DOOR)
        self.address: Address = ("127.0.0.1", self.server.port)

    def start(self) -> None:
        """Start like a pod."""
        self.handover.take_over(self.stopping)
        for worker in self.workers:
            worker.start()

    def hang(self, camera: str) -> None:
        """Let no read end from now on, and wait for one of this camera that has begun."""
        self.go_on.clear()
        wait_for(self.held[camera].is_set)

    def die(self) -> None:
        """End without notifying the other producers."""
        self.server.close()
        for worker in self.workers:
            worker.stop()
            worker.join(5)

    @property
    def cameras(self) -> list[str]:
        """The cameras that it reports as its own."""
        return [camera["name"] for camera in describe(self.me, self.workers)["cameras"]]

    def frames(self, camera: str) -> list[Frame]:
        return [frame for frame in self.sender.frames if frame.camera == camera]


@pytest.fixture
def two() -> Iterator[tuple[Producer, Producer]]:
    """One that reads `gate` and `yard`, and one that will read `yard` and `door` but is not yet started."""
    old = Producer("old", 1.0, ["gate", "yard"])
    old.start()
    new = Producer("new", 2.0, ["yard", "door"])
    for producer in (old, new):
        producer.peers += [old.address, new.address]
    yield old, new
    for producer in (old, new):
        producer.go_on.set()
        with contextlib.suppress(OSError):
            producer.die()


def test_a_camera_moves_without_being_read_twice(two: tuple[Producer, Producer]) -> None:
    old, new = two
    wait_for(lambda: bool(old.frames("yard")))
    assert old.cameras == ["gate", "yard"]
    new.start()
    wait_for(lambda: bool(new.frames("yard") and new.frames("door")))
    assert (old.cameras, new.cameras) == (["gate"], ["yard", "door"])
    before, read = len(old.frames("gate")), len(old.frames("yard"))
    wait_for(lambda: len(old.frames("gate")) > before + 3)
    assert len(old.frames("yard")) == read
    assert max(frame.captured_at for frame in old.frames("yard")) < new.frames("yard")[0].captured_at


def test_a_read_in_hand_is_waited_for(two: tuple[Producer, Producer]) -> None:
    old, new = two
    wait_for(lambda: bool(old.frames("yard")))
    old.hang("yard")
    starting = threading.Thread(target=new.start, daemon=True)
    starting.start()
    wait_for(lambda: old.cameras == ["gate"])
    assert not new.frames("yard")
    old.go_on.set()
    wait_for(lambda: bool(new.frames("yard")))
    starting.join(5)
    assert max(frame.captured_at for frame in old.frames("yard")) < new.frames("yard")[0].captured_at


def test_a_camera_whose_new_producer_died_is_taken_back(two: tuple[Producer, Producer]) -> None:
    old, new = two
    wait_for(lambda: bool(old.frames("yard")))
    new.start()
    for _ in range(2 * module._ABSENT_LOOKS):
        old.handover.look()
    assert old.cameras == ["gate"]
    last = old.frames("yard")[-1].sequence
    new.die()
    for _ in range(module._ABSENT_LOOKS):
        assert old.cameras == ["gate"]
        old.handover.look()
    assert old.cameras == ["gate", "yard"]
    wait_for(lambda: old.frames("yard")[-1].sequence > last)


def test_the_one_that_started_last_has_the_camera_whoever_asks_first(two: tuple[Producer, Producer]) -> None:
    old, new = two
    old.handover.take_over(old.stopping)
    assert (old.cameras, new.cameras) == (["gate"], ["yard", "door"])
    wait_for(lambda: not old.workers[1].reading)
    new.start()
    for _ in range(2 * module._ABSENT_LOOKS):
        old.handover.look()
        new.handover.look()
    assert (old.cameras, new.cameras) == (["gate"], ["yard", "door"])


def test_two_that_start_at_one_time_agree(two: tuple[Producer, Producer]) -> None:
    old, _ = two
    twin = Producer("twin", 1.0, ["yard"])
    twin.peers.append(old.address)
    old.peers.append(twin.address)
    old.handover.take_over(old.stopping)
    twin.start()
    assert (old.cameras, twin.cameras) == (["gate"], ["yard"])
    twin.die()


def test_a_clock_that_was_ahead_at_the_start_decides_nothing_once_it_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = time.time() + 30 * 86_400
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: wrong, monotonic=time.monotonic))
    old = Producer("old", wrong, ["yard"])
    old.start()
    monkeypatch.setattr(module, "time", time)
    new = Producer("new", time.time() + 1, ["yard"])
    for producer in (old, new):
        producer.peers += [old.address, new.address]
    new.start()
    try:
        assert (old.cameras, new.cameras) == ([], ["yard"])
    finally:
        old.die()
        new.die()


def test_nobody_is_waited_for_who_does_not_answer(two: tuple[Producer, Producer]) -> None:
    old, new = two
    old.die()
    new.peers.append(("no-such-name.invalid", 1))
    new.start()
    wait_for(lambda: bool(new.frames("yard")))


def test_a_camera_that_is_not_let_go_is_read_after_a_limit(
    two: tuple[Producer, Producer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LIMIT_SECONDS", 0.3)
    old, new = two
    wait_for(lambda: bool(old.frames("yard")))
    old.hang("yard")
    new.start()
    assert "does not stop reading yard" in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no",
        "[]",
        '{"by": "x"}',
        '{"by": "x", "started": 9, "cameras": 3}',
        '{"by": "x", "started": "late", "cameras": ["yard"]}',
        '{"by": "x", "cameras": ["yard"]}',
        '{"by": "x", "started": NaN, "cameras": ["yard"]}',
        '{"by": "x", "started": Infinity, "cameras": ["yard"]}',
        '{"by": "x", "started": 1e999, "cameras": ["yard"]}',
        f'{{"by": "x", "started": 1{"0" * 400}, "cameras": ["yard"]}}',
        "[" * 100_000,
    ],
)
def test_nonsense_releases_nothing(two: tuple[Producer, Producer], body: str) -> None:
    old, _ = two
    connection = connect(old.address)
    connection.request("POST", module.RELEASE, body, POD.token.headers)
    assert connection.getresponse().status == 400
    connection.close()
    assert old.cameras == ["gate", "yard"]


@pytest.mark.parametrize("headers", [{}, {HEADER: "of-somebody-else"}, {HEADER: ""}])
def test_a_stranger_neither_takes_a_camera_nor_sees_which_there_are(
    two: tuple[Producer, Producer], headers: dict[str, str]
) -> None:
    old, _ = two
    claim = '{"by": "x", "started": 9e9, "cameras": ["gate", "yard"]}'
    for method, path, body in (("POST", module.RELEASE, claim), ("GET", "/cameras", None)):
        connection = connect(old.address)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        assert response.status == 401
        assert b"gate" not in response.read()
        connection.close()
    assert old.cameras == ["gate", "yard"]
    connection = connect(old.address)
    connection.request("POST", module.RELEASE, claim, POD.token.headers)
    assert connection.getresponse().status == 200, "the claim was one that is granted to a producer"
    connection.close()
    wait_for(lambda: old.cameras == [])


def connect(address: Address) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(*address, timeout=5, context=POD.trust)


@contextlib.contextmanager
def impostor(certificate: Path | None) -> Iterator[tuple[Address, list[bytes]]]:
    """Answers like a producer that keeps `yard`, with a certificate or in plain as earlier versions; what it heard."""
    heard: list[bytes] = []

    told = json.dumps({"producer": "impostor", "cameras": [], "kept": ["yard"]})

    class Keeps(BaseRequestHandler):
        def handle(self) -> None:
            while b"yard" not in b"".join(heard) and (data := self.request.recv(65536)):
                heard.append(data)
                if certificate is None:
                    break
            self.request.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(told)}\r\n\r\n{told}".encode())

    server = ThreadingTCPServer(("127.0.0.1", 0), Keeps)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ("127.0.0.1", server.server_address[1]), heard
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("what", ["another authority", "another kind of pod", "in plain"])
def test_who_cannot_show_that_he_is_a_producer_gets_neither_the_token_nor_a_camera(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shown = None
    if what == "another authority":
        shown = PodAuthority().write(tmp_path / "tls", *HERE)
    elif what == "another kind of pod":
        shown = AUTHORITY.write(tmp_path / "tls", "consumer-0.consumer")
    here = AUTHORITY.write(tmp_path / "here", *HERE)
    pod = Client(POD.token, trust(here / CA))
    new = Producer("new", 2.0, ["yard"], pod)
    with impostor(shown) as (address, heard):
        new.peers.append(address)
        new.start()
    try:
        assert new.cameras == ["yard"]
        assert POD.token.headers[HEADER].encode() not in b"".join(heard)
        assert "is no producer of this stack and version" in caplog.text
    finally:
        new.die()


def test_the_impostor_would_be_believed_with_a_producer_s_certificate(tmp_path: Path) -> None:
    here = AUTHORITY.write(tmp_path / "here", *HERE)
    new = Producer("new", 2.0, ["yard"], Client(POD.token, trust(here / CA)))
    with impostor(here) as (address, heard):
        new.peers.append(address)
        new.start()
    try:
        assert new.cameras == []
        assert POD.token.headers[HEADER].encode() in b"".join(heard)
    finally:
        new.die()
