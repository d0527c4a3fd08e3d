import socket
import threading
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from apps.producer.image import to_width
from apps.producer.jpeg import Jpeg
from apps.producer.settings import Credentials
from apps.producer.sources import CorruptImage, OversizeImage, Shot, Source, SourceError, mjpeg, open_source, video
from apps.producer.sources.video import KeyFrames, VideoSource
from apps.scenes import render
from tests.unit.apps.producer.conftest import make_camera
from tests.unit.apps.producer.mjpeg_server import mjpeg_camera

LIMIT = 200_000


def jpeg(sequence: int) -> bytes:
    return cv2.imencode(".jpg", render("unit", sequence, 320, 180))[1].tobytes()


def shot(source: Source, due: float = 0.0) -> Shot:
    taken = source.read(0, due)
    assert taken is not None
    return taken


def pixels(of: Shot) -> NDArray[np.uint8]:
    assert not isinstance(of.image, Jpeg)
    return of.image


def size(of: Shot) -> tuple[int, int]:
    if isinstance(of.image, Jpeg):
        return of.image.width, of.image.height
    return of.image.shape[1], of.image.shape[0]


def test_synthetic_frames_are_the_scene_at_their_sequence(stopping: threading.Event) -> None:
    with open_source(make_camera("synthetic://street", name="cam-07", width=320), None, LIMIT, stopping) as source:
        due = time.monotonic() + 0.1
        taken = source.read(1234, due)
        assert taken is not None and time.monotonic() >= due
        assert np.array_equal(pixels(taken), render("cam-07", 1234, 320, 180))
        stopping.set()
        assert source.read(1235, time.monotonic() + 60) is None


@pytest.mark.parametrize("with_length", [True, False])
def test_mjpeg_yields_the_image_that_is_due(stopping: threading.Event, with_length: bool) -> None:
    images = [jpeg(sequence) for sequence in range(5)]
    with mjpeg_camera(images) as camera:
        camera.with_length = with_length
        with open_source(make_camera(camera.url), None, LIMIT, stopping) as source:
            first = shot(source)
            assert isinstance(first.image, Jpeg)
            assert first.image.data == images[0]
            due = time.monotonic() + 0.3
            later = shot(source, due)
            assert time.monotonic() >= due
            assert 0.25 < (later.captured_at - first.captured_at).total_seconds() < 2


def test_one_bad_mjpeg_image_does_not_end_the_stream(stopping: threading.Event) -> None:
    good = jpeg(1)
    parts = [good, good[: len(good) // 2], b"no jpeg", b"\0" * (LIMIT + 1), good]
    with mjpeg_camera(parts) as camera, open_source(make_camera(camera.url), None, LIMIT, stopping) as source:
        shot(source)
        for trouble in (CorruptImage, CorruptImage, OversizeImage):
            with pytest.raises(trouble):
                source.read(0, 0.0)
        assert size(shot(source)) == (320, 180)


def test_mjpeg_without_lengths_survives_an_oversized_part(stopping: threading.Event) -> None:
    with mjpeg_camera([b"\0\n" * LIMIT, jpeg(1)]) as camera:
        camera.with_length = False
        with open_source(make_camera(camera.url), None, LIMIT, stopping) as source:
            with pytest.raises(OversizeImage):
                source.read(0, 0.0)
            assert size(shot(source)) == (320, 180)


def test_mjpeg_with_credentials(stopping: threading.Event) -> None:
    with mjpeg_camera([jpeg(1)]) as camera:
        camera.login = ("me", "p@ss:word/")
        right = Credentials(username="me", password=SecretStr("p@ss:word/"))
        with open_source(make_camera(camera.url), right, LIMIT, stopping) as source:
            shot(source)
        with pytest.raises(SourceError, match="401") as raised:
            open_source(make_camera(camera.url), None, LIMIT, stopping)
        assert "p@ss" not in str(raised.value)


def test_mjpeg_that_ends_hangs_or_is_something_else(stopping: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    with mjpeg_camera([jpeg(1)]) as camera:
        with pytest.raises(SourceError, match="text/html, not a multipart"):
            open_source(make_camera(camera.url.replace("/stream", "/page")), None, LIMIT, stopping)
        camera.rounds = 1
        with open_source(make_camera(camera.url), None, LIMIT, stopping) as source:
            shot(source)
            with pytest.raises(SourceError, match="ended the stream"):
                source.read(0, 0.0)
        camera.gate.clear()
        # Long enough for a busy computer to open the stream.
        monkeypatch.setattr(mjpeg, "TIMEOUT_SECONDS", 2.0)
        silent = open_source(make_camera(camera.url), None, LIMIT, stopping)
        with silent, pytest.raises(SourceError, match="not answer in time"):
            silent.read(0, 0.0)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_nobody_listens(stopping: threading.Event, scheme: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret = Credentials(username="me", password=SecretStr("hidden"))
    with pytest.raises(SourceError, match="refused") as raised:
        open_source(make_camera(f"{scheme}://127.0.0.1:{port}/x"), secret, LIMIT, stopping)
    assert "hidden" not in str(raised.value)


def test_a_clip_plays_at_its_own_rate_over_and_over(stopping: threading.Event, clip: Path) -> None:
    asked, began = datetime.now(UTC), time.monotonic()
    with open_source(make_camera(f"file://{clip}", frames_per_second=4), None, LIMIT, stopping) as source:
        taken = [shot(source, began + slot / 4) for slot in range(11)]
    assert all(size(one) == (320, 180) for one in taken)
    assert len({pixels(one).tobytes() for one in taken}) >= 7
    moments = [one.captured_at for one in taken]
    assert moments == sorted(set(moments))
    assert all(asked <= moment <= datetime.now(UTC) for moment in moments)


class Clock(datetime):
    """The computer's clock, ahead of the right time or behind it."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + cls.ahead


@pytest.mark.parametrize(
    ("ahead", "rate"), [(timedelta(hours=2), 1), (timedelta(days=-400), 10), (timedelta(seconds=30), 10)]
)
def test_a_clock_that_is_set_while_a_stream_is_open_is_right_from_the_next_frame_on(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch, clip: Path, ahead: timedelta, rate: int
) -> None:
    monkeypatch.setattr(video, "datetime", Clock)
    monkeypatch.setattr(Clock, "ahead", ahead)
    with open_source(make_camera(f"file://{clip}", frames_per_second=rate), None, LIMIT, stopping) as source:
        began = time.monotonic()
        for slot in range(2):
            taken = shot(source, began + slot / rate)
            assert abs(datetime.now(UTC) + ahead - taken.captured_at) < timedelta(seconds=2)
        monkeypatch.setattr(Clock, "ahead", timedelta(0))
        for slot in range(2, 4):
            taken = shot(source, began + slot / rate)
            assert abs(datetime.now(UTC) - taken.captured_at) < timedelta(seconds=2)


def test_a_slow_camera_decodes_key_frames_alone(stopping: threading.Event, clip: Path) -> None:
    with open_source(make_camera(f"file://{clip}", frames_per_second=1), None, LIMIT, stopping) as source:
        began = time.monotonic()
        taken = [shot(source, began + slot) for slot in range(3)]
    # The clip is 2 s long, so the first and last are the same picture.
    assert not np.array_equal(pixels(taken[0]), pixels(taken[1]))
    assert np.array_equal(pixels(taken[0]), pixels(taken[2]))


def test_a_key_frame_that_is_due_is_not_kept_back(
    stopping: threading.Event, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip has B-frames, so its decoder would wait for later pictures."""
    key_frames = set()
    with av.open(str(clip)) as container:
        for picture in container.decode(video=0):
            if picture.key_frame:
                key_frames.add(picture.to_ndarray(format="bgr24").tobytes())
    source = open_source(make_camera(f"file://{clip}", frames_per_second=1), None, LIMIT, stopping)
    assert isinstance(source, VideoSource)
    with source:
        decoded = []
        decode = source._decode
        monkeypatch.setattr(source, "_decode", lambda packet: decoded.append(packet.is_keyframe) or decode(packet))
        began = time.monotonic()
        # Until the second key frame, half a second on, packets are decoded in order.
        shot(source, began)
        for slot in (1, 2, 3):
            before = len(decoded)
            assert pixels(shot(source, began + slot)).tobytes() in key_frames
            assert decoded[before:][-1:] == [True]
        assert len(key_frames) == 4


def test_a_file_that_is_no_video(stopping: threading.Event, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    for name in ("text.mp4", "none.mp4"):
        with pytest.raises(SourceError):
            open_source(make_camera(f"file://{tmp_path / name}"), None, LIMIT, stopping)


def wanted(keys: KeyFrames, interval: float, every: int, packets: int, rate: float = 25.0) -> list[int]:
    """The numbers of the packets that are decoded, where `interval` seconds pass between frames that are due."""
    decoded = []
    due = 0.0
    for number in range(packets):
        now, key = number / rate, number % every == 0
        if key:
            keys.seen(now)
        if keys.wanted(key, due, now):
            decoded.append(number)
            if now >= due:
                due += interval
    return decoded


def test_frequent_key_frames_are_enough() -> None:
    decoded = wanted(KeyFrames(2.0), 2.0, every=25, packets=250)
    # Key frames come every second, and of these every second one is due.
    assert [number for number in decoded if number >= 25] == list(range(50, 250, 50))


def test_rare_key_frames_are_not() -> None:
    assert wanted(KeyFrames(0.02), 0.02, every=25, packets=250) == list(range(250))


def test_decoding_ends_with_the_last_frame_before_the_next_key_frame() -> None:
    decoded = wanted(KeyFrames(0.5), 0.5, every=25, packets=100)
    # The first two key frames tell how far apart they are. Afterwards frames are due at a key frame and 12.5 later.
    assert decoded == [*range(25), *(start + number for start in (25, 50, 75) for number in range(14))]


def test_decoding_ends_when_the_next_frame_is_due_after_the_next_key_frame() -> None:
    keys = KeyFrames(interval=0.8)
    # Two groups of pictures tell how far apart key frames are.
    wanted(keys, 0.8, every=25, packets=50)
    keys.seen(2.0)
    assert keys.wanted(True, due=2.8, now=2.0) and keys.wanted(False, due=2.8, now=2.1)
    assert not keys.wanted(False, due=3.6, now=2.84)
    assert not keys.wanted(False, due=2.8, now=2.88), "a picture needs all pictures since its key frame"
    keys.seen(3.0)
    assert keys.wanted(True, due=3.6, now=3.0) and keys.wanted(False, due=3.6, now=3.1)


def test_decoding_starts_at_a_key_frame() -> None:
    keys = KeyFrames(interval=0.1)
    assert not keys.wanted(False, 0.0, 0.0)
    keys.seen(0.0)
    assert keys.wanted(True, 0.0, 0.0) and keys.wanted(False, 0.0, 0.1)


@pytest.mark.parametrize(
    ("width", "expected"), [(160, (160, 90)), (150, (150, 84)), (320, (320, 180)), (640, (320, 180))]
)
def test_video_is_reduced_to_the_width_like_any_image(
    stopping: threading.Event, clip: Path, width: int, expected: tuple[int, int]
) -> None:
    with open_source(make_camera(f"file://{clip}", width=width), None, LIMIT, stopping) as source:
        taken = shot(source)
    with open_source(make_camera(f"file://{clip}", width=320), None, LIMIT, stopping) as source:
        whole = shot(source)
    assert size(taken) == expected
    # In grey: the pattern's colours change at every second pixel, and the video holds half of them.
    grey, wanted_grey = (
        cv2.cvtColor(each, cv2.COLOR_BGR2GRAY).astype(int) for each in (pixels(taken), to_width(pixels(whole), width))
    )
    assert np.abs(grey - wanted_grey).mean() < 3


@pytest.mark.parametrize("interval", [0.13, 0.4, 0.5, 0.8, 0.87])
def test_between_rare_key_frames_every_frame_comes_when_it_is_due(interval: float) -> None:
    decoded = wanted(KeyFrames(interval), interval, every=25, packets=1000)
    due, late = 0.0, []
    for number in decoded:
        if number / 25 >= due:
            late.append(number / 25 - due)
            due += interval
    assert len(late) == int(39.96 / interval) + 1
    assert max(late) < 1 / 25 + 1e-9
    assert len(decoded) < 1000
