"""`rtsp(s)://` streams and `file://` clips, through FFmpeg's libraries.

A camera sends about 25 pictures per second and the pipeline needs far fewer, so decoding all would waste most of the
work: every packet is read, but while key frames come at least as often as frames are due, only those that are due are
decoded. Where they do not, decoding stops after the last picture that is due before the next key frame. A picture is
reduced to the wanted width before its colours are converted, because most pixels of a large one are not needed.
"""

import errno
import math
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, NoReturn, TypeAlias, cast
from urllib.parse import urlsplit

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from apps.messages import camera_url
from apps.producer.memory import DECODING, most_video_pixels
from apps.producer.settings import Tls, Transport
from apps.producer.sources import tls as camera_tls
from apps.producer.sources.base import Closing, CorruptImage, NoPicture, Shot, SourceError
from apps.producer.sources.h264 import FrameNumbers

OPEN_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 10.0
PICTURE_SECONDS: Final = 10.0
"""After this long without a picture when one is due, the camera is told to send none."""

ENDURED_SECONDS: Final = 60.0
"""After this long with damaged pictures and no key frame, the camera is connected to again: it sends one then."""

MOST_PIXELS: Final = most_video_pixels(DECODING.size)

Packet: TypeAlias = "av.Packet[av.VideoStream]"
Arrival: TypeAlias = "tuple[av.Packet[av.VideoStream] | None, float]"
"""A packet with its time; None for something that is not of the video."""

_LIVE_OPTIONS: Final = {
    "fflags": "nobuffer",
    "flags": "low_delay",
    # A live stream's frame rate and decoding times are not needed. FFmpeg would wait for 20 and 7 pictures to guess
    # them: 6 s for a camera that sends 5 per second, and the whole time limit for one that sends 1.
    "fpsprobesize": "0",
    "max_ts_probe": "1",
    # A camera may redirect, but not to where FFmpeg would open TLS itself: it checks no certificate.
    "protocol_whitelist": "rtp,srtp,tcp,udp",
}

_TRANSPORTS: Final[Mapping[Transport, Mapping[str, str]]] = {
    # FFmpeg asks for UDP if the camera refuses TCP.
    "auto": {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"},
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
}
_NAMES: Final[Mapping[Transport, str]] = {"auto": "TCP or UDP", "tcp": "TCP", "udp": "UDP"}

_ELSEWHERE: Final = (
    "the camera's answer is not understood, or redirects to where its certificate would not be checked: give the "
    "rtsps:// URL of the stream itself"
)
_LONGEST_PAUSE_SECONDS: Final = 10.0
"""A clip whose times jump further goes on after one picture's time."""
_MOST_STREAMS: Final = 16
_ALIGNMENT: Final = 1.25
"""FFmpeg counts the pixels of whole blocks."""

_SLACK: Final = 1.05
_MICROSECOND: Final = 1e-6
_LONGEST_LINE_OF_ERRORS: Final = 25

# FFmpeg's own messages contain the URL with its credentials.
av.logging.set_level(None)


class VideoSource(Closing):
    """An open stream or clip. A clip is played at its own rate in a loop, like a camera."""

    def __init__(
        self, place: str, interval: float, width: int, stopping: threading.Event, transport: Transport | None
    ) -> None:
        """A frame is due every `interval` seconds. Wider pictures are reduced to `width` pixels.

        `transport` is that of a live stream; None: `place` is the path of a clip.
        """
        self._width = width
        self._stopping = stopping
        options = {} if transport is None else {**_LIVE_OPTIONS, **_TRANSPORTS[transport]}
        began = time.monotonic()
        # Streams in which FFmpeg may decode pictures while it looks at them.
        limits = [{"max_pixels": str(int(MOST_PIXELS * _ALIGNMENT))}] * _MOST_STREAMS
        try:
            self._container = av.open(
                place,
                options=options,
                stream_options=limits,  # type: ignore[arg-type]  # PyAV takes dictionaries.
                timeout=(OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
            )
        except (av.FFmpegError, OSError) as unreachable:
            if unreachable.errno == errno.EPROTONOSUPPORT and transport is not None:
                raise SourceError(f"the camera refuses to send over {_NAMES[transport]}") from None
            if unreachable.errno == errno.EINVAL and transport is not None:
                raise SourceError(_ELSEWHERE) from None
            raise SourceError(_reason(unreachable, began, OPEN_TIMEOUT_SECONDS)) from None
        if not self._container.streams.video:
            self._container.close()
            raise SourceError("there is no video in it")
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        if context.width * context.height > MOST_PIXELS:
            self._container.close()
            raise SourceError(
                f"pictures of {context.width} x {context.height} pixels: {MOST_PIXELS / 1e6:.0f} million pixels can be "
                "decoded in this pod's memory (argus:producers.memory)"
            )
        context.options = limits[0]
        # Frame threads would delay pictures, and many cameras share the cores anyway.
        self._stream.codec_context.thread_type = "SLICE"
        self._stream.codec_context.thread_count = 1
        self._keys = KeyFrames(interval)
        self._packets = self._play() if transport is None else self._receive()
        # Arrivals are moments of `time.monotonic`, because the clock may be set while the stream is open.
        self._arrivals: dict[int, float] = {}
        self._last = -math.inf
        self._bad = 0
        self._damaged_since: float | None = None
        self._key: int | None = None
        live_h264 = transport is not None and context.name == "h264"
        self._numbers = FrameNumbers(context.extradata) if live_h264 else None
        self._alive = time.monotonic()
        self._had_key_frame = False

    def read(self, sequence: int, due: float) -> Shot | None:
        """The first picture decoded at or after `due`."""
        for packet, moment in self._packets:
            if self._stopping.is_set():
                return None
            now = time.monotonic()
            if packet is None or not self._wanted(packet, moment, due, now):
                self._check_alive(due, now)
                continue
            if packet.pts is not None:
                self._arrivals[packet.pts] = now
            picture = self._decode(packet)
            if picture is None:
                self._check_alive(due, now)
                continue
            self._alive = now
            if now < due:
                continue
            if self._damaged_since is not None:
                self._set_aside(picture, now)
            return self._shot(picture, now)
        if self._stopping.is_set():
            return None
        raise SourceError("the stream ended")

    def close(self) -> None:
        """Close the stream."""
        self._container.close()

    def _wanted(self, packet: Packet, moment: float, due: float, now: float) -> bool:
        if packet.is_keyframe:
            self._keys.seen(moment)
            self._had_key_frame = True
        return self._keys.wanted(packet.is_keyframe, due, now)

    def _check_alive(self, due: float, now: float) -> None:
        """Raise NoPicture if something comes, but no picture has for some seconds in which one was due."""
        if now < max(due, self._alive) + PICTURE_SECONDS:
            return
        self._alive = now
        # The decoder's delay is bounded, so these pictures will not be asked for.
        self._arrivals.clear()
        missing = "picture that can be decoded" if self._had_key_frame else "key frame, where decoding would start"
        raise NoPicture(f"the camera sends data, but in {PICTURE_SECONDS:.0f} s no {missing}")

    def _set_aside(self, picture: av.VideoFrame, now: float) -> NoReturn:
        """Refuse a picture that is damaged, or made from one that is. Long without a key frame, the camera is lost."""
        if self._damaged_since is not None and now > self._damaged_since + ENDURED_SECONDS:
            raise SourceError(f"damaged pictures, and in {ENDURED_SECONDS:.0f} s no key frame that ends it")
        if picture.is_corrupt:
            raise CorruptImage("FFmpeg marks the picture as corrupt: a part of it was lost on the way")
        raise CorruptImage("the picture is made from a damaged or lost one; the next key frame ends it")

    def _look(self, picture: av.VideoFrame) -> None:
        """Note whether pictures are damaged from here on, or no longer: a key frame is made from no other picture."""
        if picture.is_corrupt:
            if self._damaged_since is None:
                self._damaged_since = time.monotonic()
            if picture.pts == self._key:
                self._key = None
        elif picture.key_frame and picture.pts == self._key:
            self._damaged_since = None

    def _damaged_from_here(self) -> None:
        """Note damage in the packet at hand; a key frame that the decoder still holds does not end it."""
        if self._damaged_since is None:
            self._damaged_since = time.monotonic()
        self._key = None

    def _decode(self, packet: Packet) -> av.VideoFrame | None:
        if packet.is_keyframe:
            self._key = packet.pts
        if self._numbers is not None and self._numbers.lost(bytes(packet), packet.is_keyframe):
            self._damaged_from_here()
        try:
            pictures = packet.decode()
            if self._keys.alone and not (pictures and pictures[-1].pts == packet.pts):
                # The decoder keeps a key frame back to sort it among the next pictures, which it does not get.
                pictures = self._stream.codec_context.decode(None) or pictures
                self._stream.codec_context.flush_buffers()
        except av.FFmpegError as corrupt:
            self._bad += 1
            self._damaged_from_here()
            if self._bad > _LONGEST_LINE_OF_ERRORS:
                raise SourceError("nothing but undecodable packets") from None
            raise CorruptImage(_text(corrupt)) from None
        if not pictures:
            return None
        self._bad = 0
        for picture in pictures:
            self._look(picture)
        return pictures[-1]

    def _shot(self, picture: av.VideoFrame, arrived: float) -> Shot:
        """The picture with the arrival time of its packet; `arrived` is that of the packet that completed it.

        Display order differs from packet order, so times are made to increase.
        """
        if picture.pts is not None:
            arrived = self._arrivals.get(picture.pts, arrived)
        self._arrivals = {pts: moment for pts, moment in self._arrivals.items() if moment > arrived}
        self._last = max(arrived, self._last + _MICROSECOND)
        return Shot(image=reduced(picture, self._width), captured_at=_clock_time(self._last))

    def _receive(self) -> Iterator[Arrival]:
        """A live stream's packets, each with its arrival time; None for one that is not of the video, such as sound."""
        began = time.monotonic()
        try:
            for packet in self._container.demux():
                began = time.monotonic()
                if packet.stream.index != self._stream.index:
                    yield None, began
                elif packet.size:
                    yield cast(Packet, packet), began
        except (av.FFmpegError, OSError) as lost:
            raise SourceError(_reason(lost, began, READ_TIMEOUT_SECONDS)) from None

    def _play(self) -> Iterator[Arrival]:
        """A clip's packets in a loop, each when it is due, with that time."""
        began = time.monotonic()
        passed, step = 0.0, 1 / float(self._stream.average_rate or 25)
        while True:
            last: Packet | None = None
            moment = 0.0
            try:
                for packet in self._container.demux(self._stream):
                    if not packet.size:
                        continue
                    moment += 0.0 if last is None else self._pause(last, packet, step)
                    last = packet
                    if self._stopping.wait(max(0.0, began + passed + moment - time.monotonic())):
                        return
                    yield packet, began + passed + moment
                self._stream.codec_context.flush_buffers()
                self._container.seek(0)
            except (av.FFmpegError, OSError) as lost:
                raise SourceError(_text(lost)) from None
            if last is None:
                raise SourceError("the clip holds no pictures")
            passed += moment + step
            self._arrivals.clear()

    def _pause(self, last: Packet, packet: Packet, step: float) -> float:
        """The seconds between two packets of a clip; `step` where their times are missing or jump."""
        if last.dts is None or packet.dts is None:
            return step
        pause = float((packet.dts - last.dts) * (self._stream.time_base or Fraction(1, 90_000)))
        return pause if abs(pause) <= _LONGEST_PAUSE_SECONDS else step


class EncryptedVideoSource(VideoSource):
    """An `rtsps://` stream: the pictures travel in the TLS connection to the camera, whose certificate is checked."""

    def __init__(self, url: str, interval: float, width: int, stopping: threading.Event, tls: Tls | None) -> None:
        parts = urlsplit(url)
        port = parts.port or camera_url.PORTS[parts.scheme]
        began = time.monotonic()
        try:
            camera = camera_tls.connect(parts.hostname or "", port, tls, OPEN_TIMEOUT_SECONDS)
        except ssl.SSLError as refused:
            raise SourceError(camera_tls.reason(refused)) from None
        except (OSError, ValueError) as unreachable:
            raise SourceError(_reason(unreachable, began, OPEN_TIMEOUT_SECONDS)) from None
        self._relay = camera_tls.Relay(camera, READ_TIMEOUT_SECONDS)
        login, at, _ = parts.netloc.rpartition("@")
        place = parts._replace(scheme="rtsp", netloc=f"{login}{at}127.0.0.1:{self._relay.port}").geturl()
        try:
            super().__init__(place, interval, width, stopping, "tcp")
        except BaseException:
            self._relay.close()
            raise

    def close(self) -> None:
        """Close the stream and the connection."""
        super().close()
        self._relay.close()


class KeyFrames:
    """Decides from the spacing of key frames which packets to decode. All times are of `time.monotonic`."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last: float | None = None
        self._spacing: float | None = None
        self._in_order = False

    def seen(self, moment: float) -> None:
        """Record a key frame's time."""
        if self._last is not None and moment > self._last:
            spacing = moment - self._last
            self._spacing = spacing if self._spacing is None else max(spacing, 0.7 * self._spacing)
        self._last = moment

    @property
    def alone(self) -> bool:
        """Whether key frames come often enough to decode nothing else."""
        return self._spacing is not None and self._spacing <= self._interval * _SLACK

    def wanted(self, key: bool, due: float, now: float) -> bool:
        """Whether to decode the packet that came `now`, when the next frame is due at `due`.

        A key frame needs no other packet, so it is decoded only when it is due. Any other picture needs all packets
        since its key frame, so where key frames are not enough, packets are decoded from a key frame on, until the next
        frame is due after the next key frame.
        """
        if key and self.alone:
            self._in_order = False
            return now >= due
        if key:
            self._in_order = True
        if self._last is not None and self._spacing is not None and due >= self._last + self._spacing:
            self._in_order = False
        return self._in_order


def reduced(picture: av.VideoFrame, width: int) -> NDArray[np.uint8]:
    """The picture's pixels (height, width, BGR), turned as it asks, and reduced to `width` if it is wider then.

    Its aspect ratio stays.
    """
    # The angle is counter-clockwise, like rot90's.
    quarters = round(picture.rotation / 90) % 4
    lies = quarters % 2 == 1
    across, down = (picture.height, picture.width) if lies else (picture.width, picture.height)
    if across <= width:
        pixels = picture.to_ndarray(format="bgr24")
    else:
        down = max(1, round(down * width / across))
        size = (down, width) if lies else (width, down)
        pixels = picture.to_ndarray(format="bgr24", width=size[0], height=size[1], interpolation="AREA")
    return np.asarray(np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels, dtype=np.uint8)


def _clock_time(moment: float) -> datetime:
    """The time of a moment of `time.monotonic`, by the clock as it is set now."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - moment)


def _reason(error: BaseException, began: float, limit: float) -> str:
    """Why a call failed that began then, and was to end within `limit` seconds."""
    # FFmpeg gives an interrupted call several codes, some of which stand for other errors too.
    late = time.monotonic() - began >= limit
    return "the camera does not answer in time" if late else _text(error)


def _text(error: BaseException) -> str:
    """The error without the URL."""
    text = getattr(error, "strerror", None)
    return text if isinstance(text, str) and text else type(error).__name__
