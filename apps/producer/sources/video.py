"""`rtsp://` streams and `file://` clips, through FFmpeg's libraries.

A camera sends about 25 pictures per second and the pipeline needs far fewer, so decoding all would waste most of the
work: every packet is read, but while key frames come at least as often as frames are due, only those that are due are
decoded. Where they do not, decoding stops after the last picture that is due before the next key frame. A picture is
reduced to the wanted width before its colours are converted, because most pixels of a large one are not needed.
"""

import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, TypeAlias

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from apps.producer.sources.base import Closing, CorruptImage, Shot, SourceError

OPEN_TIMEOUT_SECONDS: Final = 10.0
READ_TIMEOUT_SECONDS: Final = 10.0

Packet: TypeAlias = "av.Packet[av.VideoStream]"

_LIVE_OPTIONS: Final = {
    "rtsp_transport": "tcp",
    "fflags": "nobuffer",
    "flags": "low_delay",
    # A live stream's frame rate and decoding times are not needed. FFmpeg would wait for 20 and 7 pictures to guess
    # them: 6 s for a camera that sends 5 per second, and the whole time limit for one that sends 1.
    "fpsprobesize": "0",
    "max_ts_probe": "1",
}

_SLACK: Final = 1.05
_MICROSECOND: Final = 1e-6
_LONGEST_LINE_OF_ERRORS: Final = 25

# FFmpeg's own messages contain the URL with its credentials.
av.logging.set_level(None)


class VideoSource(Closing):
    """An open stream or clip. A clip is played at its own rate in a loop, like a camera."""

    def __init__(self, place: str, interval: float, width: int, stopping: threading.Event, *, looped: bool) -> None:
        """A frame is due every `interval` seconds. Wider pictures are reduced to `width` pixels."""
        self._width = width
        self._stopping = stopping
        self._looped = looped
        options = {} if looped else _LIVE_OPTIONS
        try:
            self._container = av.open(place, options=options, timeout=(OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS))
        except (av.FFmpegError, OSError) as unreachable:
            raise SourceError(_reason(unreachable)) from None
        if not self._container.streams.video:
            self._container.close()
            raise SourceError("there is no video in it")
        self._stream = self._container.streams.video[0]
        # Frame threads would delay pictures, and many cameras share the cores anyway.
        self._stream.codec_context.thread_type = "SLICE"
        self._stream.codec_context.thread_count = 1
        self._keys = KeyFrames(interval)
        self._packets = self._play() if looped else self._receive()
        # Arrivals are moments of `time.monotonic`, because the clock may be set while the stream is open.
        self._arrivals: dict[int, float] = {}
        self._last = -math.inf
        self._bad = 0

    def read(self, sequence: int, due: float) -> Shot | None:
        """The first picture decoded at or after `due`."""
        for packet, moment in self._packets:
            if self._stopping.is_set():
                return None
            now = time.monotonic()
            if packet.is_keyframe:
                self._keys.seen(moment)
            if not self._keys.wanted(packet.is_keyframe, due, now):
                continue
            if packet.pts is not None:
                self._arrivals[packet.pts] = now
            picture = self._decode(packet)
            if picture is not None and now >= due:
                return self._shot(picture, now)
        if self._stopping.is_set():
            return None
        raise SourceError("the stream ended")

    def close(self) -> None:
        """Close the stream."""
        self._container.close()

    def _decode(self, packet: Packet) -> av.VideoFrame | None:
        try:
            pictures = packet.decode()
            if self._keys.alone and not (pictures and pictures[-1].pts == packet.pts):
                # The decoder keeps a key frame back to sort it among the next pictures, which it does not get.
                pictures = self._stream.codec_context.decode(None) or pictures
                self._stream.codec_context.flush_buffers()
        except av.FFmpegError as corrupt:
            self._bad += 1
            if self._bad > _LONGEST_LINE_OF_ERRORS:
                raise SourceError("nothing but undecodable packets") from None
            raise CorruptImage(_reason(corrupt)) from None
        if not pictures:
            return None
        self._bad = 0
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

    def _receive(self) -> Iterator[tuple[Packet, float]]:
        """A live stream's packets, each with its arrival time."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    yield packet, time.monotonic()
        except (av.FFmpegError, OSError) as lost:
            raise SourceError(_reason(lost)) from None

    def _play(self) -> Iterator[tuple[Packet, float]]:
        """A clip's packets in a loop, each when it is due, with that time."""
        began = time.monotonic()
        passed, step = 0.0, 1 / float(self._stream.average_rate or 25)
        while True:
            first: float | None = None
            moment = 0.0
            try:
                for packet in self._container.demux(self._stream):
                    if packet.dts is None or not packet.size:
                        continue
                    seconds = float(packet.dts * (self._stream.time_base or Fraction(1, 90_000)))
                    first = seconds if first is None else first
                    moment = seconds - first
                    if self._stopping.wait(max(0.0, began + passed + moment - time.monotonic())):
                        return
                    yield packet, began + passed + moment
                self._stream.codec_context.flush_buffers()
                self._container.seek(0)
            except (av.FFmpegError, OSError) as lost:
                raise SourceError(_reason(lost)) from None
            if first is None:
                raise SourceError("the clip holds no pictures")
            passed += moment + step
            self._arrivals.clear()


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
    """The picture's pixels (height, width, BGR), reduced to `width` at the same aspect ratio if it is wider."""
    if picture.width <= width:
        return np.asarray(picture.to_ndarray(format="bgr24"), dtype=np.uint8)
    height = max(1, round(picture.height * width / picture.width))
    pixels = picture.to_ndarray(format="bgr24", width=width, height=height, interpolation="AREA")
    return np.asarray(pixels, dtype=np.uint8)


def _clock_time(moment: float) -> datetime:
    """The time of a moment of `time.monotonic`, by the clock as it is set now."""
    return datetime.now(UTC) - timedelta(seconds=time.monotonic() - moment)


def _reason(error: BaseException) -> str:
    """The error without the URL."""
    text = getattr(error, "strerror", None)
    return text if isinstance(text, str) and text else type(error).__name__
