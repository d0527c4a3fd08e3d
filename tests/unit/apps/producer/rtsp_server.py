"""A small RTSP camera on loopback, with the quirks of real ones: H.264 in RTP, over TCP or UDP."""

import base64
import contextlib
import hashlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from tests.unit.apps.producer.raw_server import serving

_LONGEST = 1200
_CLOCK = 90_000


@dataclass(frozen=True)
class Picture:
    """One encoded picture: its units without start codes, and whether decoding can start at it."""

    units: tuple[bytes, ...]
    key: bool


def encoded(images: Sequence[NDArray[np.uint8]], key_frame_every: int) -> list[Picture]:
    """The images (height, width, BGR) as H.264."""
    codec = av.CodecContext.create("libx264", "w")
    codec.height, codec.width = images[0].shape[:2]
    codec.pix_fmt, codec.time_base = "yuv420p", Fraction(1, 25)
    codec.options = {"tune": "zerolatency", "preset": "ultrafast", "g": str(key_frame_every), "sc_threshold": "0"}
    pictures = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts = number
        for packet in codec.encode(frame):
            units = re.split(b"\0\0\0?\x01", bytes(packet))
            pictures.append(Picture(tuple(unit for unit in units if unit), bool(packet.is_keyframe)))
    return pictures


@dataclass
class RtspCamera:
    """Sends `pictures` in a loop, each with the time `clock(number)` in seconds, until the test ends."""

    pictures: Sequence[Picture]
    transports: Sequence[str] = ("TCP", "UDP")
    silent_after: str = ""
    """The method that is not answered any more, `connect`, or `PLAY`, which is answered and then nothing is sent."""
    clock: Callable[[int], float] = lambda number: number / 25
    sound: bool = False
    """Whether to send sound, and no picture."""
    interval: float = 0.02
    tls: ssl.SSLContext | None = None
    metadata: bool = False
    """Whether a track of metadata is described before that of pictures."""
    login: tuple[str, str, str] | None = None
    """How it asks for a login (`Basic` or `Digest`), and whom it lets in with which password."""
    parameters: Sequence[bytes] = ()
    """The units with the parameters of decoding that its description has."""
    location: str = ""
    """Where it says that the stream is, instead of describing it."""
    port: int = 0
    requests: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    """The transports that clients set up."""
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'rtsps' if self.tls else 'rtsp'}://127.0.0.1:{self.port}/live"

    def serve(self, connection: socket.socket) -> None:
        """Answer one client's requests."""
        if self.silent_after == "connect":
            self.done.wait()
        send: Callable[[bytes], object] | None = None
        with contextlib.ExitStack() as opened:
            for method, request in _requests(connection):
                self.requests.append(request)
                if method == self.silent_after != "PLAY":
                    self.done.wait()
                status, extra, body = "200 OK", "Session: 1\r\n", ""
                if not self._admits(method, request):
                    status, extra = "401 Unauthorized", f'WWW-Authenticate: {self._asked} realm="cam", nonce="feed"\r\n'
                elif method == "DESCRIBE" and self.location:
                    status, extra = "302 Found", f"Location: {self.location}\r\n"
                elif method == "DESCRIBE":
                    extra, body = "Content-Type: application/sdp\r\n", self._description()
                elif method == "SETUP" and (transport := self._transport(request)) is None:
                    status, extra = "461 Unsupported Transport", ""
                elif method == "SETUP":
                    chosen, sender = self._sender(transport or "", connection, opened)
                    send = sender if "/track1 " in request else send
                    extra += f"Transport: {chosen}\r\n"
                number = re.findall(r"CSeq: (\d+)", request)[0]
                length = f"Content-Length: {len(body)}\r\n" if body else ""
                connection.sendall(f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{extra}{length}\r\n{body}".encode())
                if method == "PLAY":
                    if self.silent_after == "PLAY" or send is None:
                        self.done.wait()
                    else:
                        self._play(send)
                    return

    @property
    def _asked(self) -> str:
        return self.login[0] if self.login else ""

    def _admits(self, method: str, request: str) -> bool:
        """Whether the request shows the login, as RFC 7617 or RFC 2069 says."""
        if self.login is None or method == "OPTIONS":
            return True
        kind, user, password = self.login
        shown = re.search(rf"Authorization: {kind} (.*)", request)
        if shown is None:
            return False
        if kind == "Basic":
            return base64.b64decode(shown[1]).decode() == f"{user}:{password}"
        given = dict(re.findall(r'(\w+)="([^"]*)"', shown[1]))
        return given["response"] == _md5(_md5(user, "cam", password), "feed", _md5(method, given["uri"]))

    def _transport(self, request: str) -> str | None:
        wanted = re.findall(r"Transport: (\S+)", request)[0]
        kind = "TCP" if "RTP/AVP/TCP" in wanted else "UDP"
        return wanted if kind in self.transports else None

    def _sender(
        self, wanted: str, connection: socket.socket, opened: contextlib.ExitStack
    ) -> tuple[str, Callable[[bytes], object]]:
        """What is answered about the transport, and how to send a packet of RTP."""
        if "RTP/AVP/TCP" in wanted:
            self.used.append("TCP")
            channel = int(re.findall(r"interleaved=(\d+)", wanted)[0])
            return wanted, lambda data: connection.sendall(b"$" + struct.pack("!BH", channel, len(data)) + data)
        self.used.append("UDP")
        port = int(re.findall(r"client_port=(\d+)", wanted)[0])
        sending = opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sending.bind(("127.0.0.1", 0))
        own = sending.getsockname()[1]
        return f"{wanted};server_port={own}-{own + 1}", lambda data: sending.sendto(data, ("127.0.0.1", port))

    def _description(self) -> str:
        if self.sound:
            sound = "m=audio 0 RTP/AVP 0\r\na=control:track1\r\n"
            return f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{_VIDEO.replace('track1', 'track2')}{sound}"
        units = ",".join(base64.b64encode(unit).decode() for unit in self.parameters)
        video = _VIDEO.replace("mode=1", f"mode=1;sprop-parameter-sets={units}") if units else _VIDEO
        return f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{_METADATA if self.metadata else ''}{video}"

    def _play(self, send: Callable[[bytes], object]) -> None:
        sequence = number = 0
        while not self.done.wait(self.interval):
            if self.sound:
                payloads, kind = [bytes(160)], 0
            else:
                payloads, kind = _payloads(self.pictures[number % len(self.pictures)]), 96
            for each, payload in enumerate(payloads):
                last = 0x80 if each == len(payloads) - 1 else 0
                time = int(self.clock(number) * _CLOCK) & 0xFFFFFFFF
                send(struct.pack("!BBHII", 0x80, last | kind, sequence & 0xFFFF, time, 1) + payload)
                sequence += 1
            number += 1


_VIDEO = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"

_METADATA = "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:track0\r\n"


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def _payloads(picture: Picture) -> list[bytes]:
    """The picture's units, each whole or in pieces (RFC 6184, FU-A)."""
    payloads = []
    for unit in picture.units:
        if len(unit) <= _LONGEST:
            payloads.append(unit)
            continue
        pieces = [unit[at : at + _LONGEST] for at in range(1, len(unit), _LONGEST)]
        for number, piece in enumerate(pieces):
            place = (0x80 if number == 0 else 0) | (0x40 if number == len(pieces) - 1 else 0)
            payloads.append(bytes([unit[0] & 0xE0 | 28, place | unit[0] & 31]) + piece)
    return payloads


def _requests(connection: socket.socket) -> Iterator[tuple[str, str]]:
    """The method and all of each request."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            received = connection.recv(4096)
            if not received:
                return
            data += received
        request, _, data = data.partition(b"\r\n\r\n")
        text = request.decode("utf-8")
        yield text.split()[0], text


@contextlib.contextmanager
def rtsp_camera(camera: RtspCamera) -> Iterator[RtspCamera]:
    """Serve until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        camera.port = listening.getsockname()[1]

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                if camera.tls is None:
                    camera.serve(connection)
                else:
                    with camera.tls.wrap_socket(connection, server_side=True) as encrypted:
                        camera.serve(encrypted)

        with serving(listening, serve, camera.done):
            yield camera
