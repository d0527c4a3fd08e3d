"""RTSP cameras with quirks: silence, no key frame, odd times, damage, one transport alone."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr

from apps.producer.jpeg import Jpeg
from apps.producer.settings import Credentials
from apps.producer.sources import CorruptImage, NoPicture, Source, SourceError, open_source, video
from tests.unit.apps.producer.conftest import make_camera
from tests.unit.apps.producer.rtsp_server import Picture, RtspCamera, encoded, rtsp_camera

LIMIT = 200_000


def scene(number: int) -> NDArray[np.uint8]:
    """A textured picture that moves, so that damage is seen in those that follow."""
    texture = np.random.default_rng(7).integers(30, 200, (8, 10, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    image = np.roll(texture, 3 * number, 1)
    cv2.circle(image, (20 + 3 * number % 120, 64), 12, (0, 0, 255), -1)
    return image


SCENES = [scene(number) for number in range(40)]
PICTURES = encoded(SCENES, 10)


def is_parameter(unit: bytes) -> bool:
    """Whether the unit has parameters of decoding."""
    return unit[0] & 31 in (7, 8)


PARAMETERS = tuple(unit for unit in PICTURES[0].units if is_parameter(unit))
BARE = [Picture(tuple(unit for unit in each.units if not is_parameter(unit)), each.key) for each in PICTURES]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPEN_TIMEOUT_SECONDS", "READ_TIMEOUT_SECONDS", "PICTURE_SECONDS"):
        monkeypatch.setattr(video, name, 1.0)


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    stopping = threading.Event()
    yield stopping
    stopping.set()


def sizes(
    camera: RtspCamera,
    stopping: threading.Event,
    count: int = 5,
    login: Credentials | None = None,
    **settings: object,
) -> list[tuple[int, ...]]:
    with (
        rtsp_camera(camera),
        open_source(make_camera(camera.url, frames_per_second=20, **settings), login, LIMIT, stopping) as source,
    ):
        return [image(source).shape for _ in range(count)]


def image(source: Source) -> NDArray[np.uint8]:
    shot = source.read(0, time.monotonic())
    assert shot is not None and not isinstance(shot.image, Jpeg)
    return shot.image


@pytest.mark.parametrize(
    ("transport", "offered", "used"),
    [
        ("auto", ("TCP", "UDP"), "TCP"),
        ("auto", ("UDP",), "UDP"),
        ("udp", ("TCP", "UDP"), "UDP"),
        ("tcp", ("TCP", "UDP"), "TCP"),
    ],
)
def test_the_transport_is_chosen_or_tried(
    stopping: threading.Event, transport: str, offered: Sequence[str], used: str
) -> None:
    camera = RtspCamera(PICTURES, transports=offered)
    assert sizes(camera, stopping, transport=transport) == [(128, 160, 3)] * 5
    assert camera.used == [used]


@pytest.mark.parametrize(("transport", "told"), [("auto", "TCP or UDP"), ("udp", "UDP"), ("tcp", "TCP")])
def test_a_refused_transport_is_a_reason(stopping: threading.Event, transport: str, told: str) -> None:
    with pytest.raises(SourceError, match=rf"refuses to send over {told}$"):
        sizes(RtspCamera(PICTURES, transports=()), stopping, transport=transport)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("silent_after", ["connect", "OPTIONS", "DESCRIBE", "SETUP", "PLAY"])
def test_silence_is_a_reason(stopping: threading.Event, silent_after: str) -> None:
    with pytest.raises(SourceError, match="does not answer in time"):
        sizes(RtspCamera(PICTURES, silent_after=silent_after), stopping)


@pytest.mark.usefixtures("hasty")
def test_no_key_frame_is_a_reason_and_the_camera_is_read_on(stopping: threading.Event) -> None:
    others = [Picture(PARAMETERS, key=False), *(each for each in PICTURES if not each.key)]
    camera = RtspCamera(others)
    with (
        rtsp_camera(camera),
        open_source(make_camera(camera.url, frames_per_second=20), None, LIMIT, stopping) as source,
    ):
        with pytest.raises(NoPicture, match="no key frame"):
            source.read(0, 0.0)
        camera.pictures = PICTURES
        assert image(source).shape == (128, 160, 3)


@pytest.mark.usefixtures("hasty")
def test_sound_without_pictures_is_a_reason(stopping: threading.Event) -> None:
    camera = RtspCamera(PICTURES, sound=True)
    with pytest.raises(SourceError, match="no key frame"):
        sizes(camera, stopping)


@pytest.mark.parametrize(
    "clock",
    [
        lambda number: number / 25 if number < 8 else (number - 7) / 25,
        lambda number: 0.1,
        lambda number: number / 25 + (26 * 3600 if number > 7 else 0),
        lambda number: (2**32 / 90_000) - 0.2 + number / 25,
        lambda number: 40 - number / 25,
        lambda number: number * 5000,
    ],
    ids=["back", "still", "on by 26 hours", "wraps", "backwards", "far apart"],
)
def test_times_that_jump_cost_no_picture(stopping: threading.Event, clock: object) -> None:
    assert sizes(RtspCamera(PICTURES, clock=clock), stopping, count=15) == [(128, 160, 3)] * 15  # type: ignore[arg-type]


def test_a_track_of_metadata_before_that_of_pictures_costs_nothing(stopping: threading.Event) -> None:
    assert sizes(RtspCamera(PICTURES, metadata=True), stopping) == [(128, 160, 3)] * 5


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
@pytest.mark.parametrize(
    "password",
    ["secret", "p@ss:w/o#r%d?&!^+ x", "100%25", "p\u00e4ssw\u00f6rd\u20ac", "#" * 26, "\u5b89\u5168" * 8, ""],
)
def test_a_login_arrives_as_it_is(stopping: threading.Event, kind: str, password: str) -> None:
    login = Credentials(username="bj\u00f8rn", password=SecretStr(password))
    camera = RtspCamera(PICTURES, login=(kind, login.username, password))
    assert sizes(camera, stopping, 1, login) == [(128, 160, 3)]


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
@pytest.mark.parametrize("login", [None, Credentials(username="me", password=SecretStr("wrong"))])
def test_a_login_that_is_wrong_or_missing_is_a_reason(
    stopping: threading.Event, kind: str, login: Credentials | None
) -> None:
    with pytest.raises(SourceError, match="401"):
        sizes(RtspCamera(PICTURES, login=(kind, "me", "right")), stopping, 1, login)


def test_a_size_may_change(stopping: threading.Event) -> None:
    larger = encoded([np.full((240, 320, 3), 90, np.uint8)] * 20, 10)
    found = sizes(RtspCamera([*PICTURES[:10], *larger[:10]]), stopping, count=25)
    assert set(found) == {(128, 160, 3), (240, 320, 3)}


def shortened(picture: Picture) -> Picture:
    """What is left where a camera's buffer was full."""
    return Picture(tuple(unit[: len(unit) // 2] if len(unit) > 100 else unit for unit in picture.units), picture.key)


def changed(picture: Picture) -> Picture:
    """With other bytes in its middle."""
    units = []
    for unit in picture.units:
        middle = len(unit) // 2
        others = bytes(byte ^ 0x5A for byte in unit[middle : middle + 20])
        units.append(unit[:middle] + others + unit[middle + 20 :] if len(unit) > 100 else unit)
    return Picture(tuple(units), picture.key)


def error(picture: NDArray[np.uint8]) -> float:
    """The mean difference, in grey levels, to the nearest picture that the camera saw."""
    return min(float(np.mean(cv2.absdiff(picture, scene(number)))) for number in range(40))


def told_apart(camera: RtspCamera, count: int, stopping: threading.Event) -> tuple[list[float], list[str]]:
    """Of so many pictures of a camera: the errors of those that came, and the reasons of those that were set aside."""
    good: list[float] = []
    reasons: list[str] = []
    with (
        rtsp_camera(camera),
        open_source(make_camera(camera.url, frames_per_second=60), None, LIMIT, stopping) as source,
    ):
        while len(good) + len(reasons) < count:
            try:
                good.append(error(image(source)))
            except CorruptImage as corrupt:
                reasons.append(str(corrupt))
    return good, reasons


@pytest.mark.parametrize("damage", [shortened, changed])
@pytest.mark.parametrize("place", [0, 3], ids=["a key frame", "another"])
def test_smeared_pictures_are_set_aside(
    stopping: threading.Event, damage: Callable[[Picture], Picture], place: int
) -> None:
    """A damaged picture, and all that are made from it, up to the next key frame: FFmpeg marks only the first."""
    every = [damage(each) if number % 20 == place else each for number, each in enumerate(PICTURES)]
    good, reasons = told_apart(RtspCamera(every), 60, stopping)
    whole = 20
    assert len(good) >= whole and len(reasons) >= whole / 2
    assert max(good) < 8
    assert any("marks the picture as corrupt" in each for each in reasons)
    assert any("made from a damaged or lost one" in each for each in reasons)


@pytest.mark.parametrize(
    ("pictures", "parameters"),
    [(PICTURES, ()), (PICTURES, PARAMETERS), (BARE, PARAMETERS)],
    ids=["parameters in the stream", "also in the description", "in the description alone"],
)
def test_pictures_after_a_lost_one_are_set_aside(
    stopping: threading.Event, pictures: Sequence[Picture], parameters: Sequence[bytes]
) -> None:
    """FFmpeg conceals a picture that is missing, and marks none."""
    rest = [each for number, each in enumerate(pictures) if number % 20 != 3]
    good, reasons = told_apart(RtspCamera(rest, parameters=parameters), 57, stopping)
    assert len(good) >= 20 and len(reasons) >= 10
    assert max(good) < 8
    assert set(reasons) == {"the picture is made from a damaged or lost one; the next key frame ends it"}


def test_a_damaged_picture_that_was_not_due_counts_too(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of a camera's pictures are decoded only because a later one needs them."""
    only = [shortened(each) if number == 12 else each for number, each in enumerate(encoded(SCENES, 100))]
    monkeypatch.setattr(video, "ENDURED_SECONDS", 1.0)
    with (
        rtsp_camera(RtspCamera(only)) as camera,
        open_source(make_camera(camera.url, frames_per_second=20), None, LIMIT, stopping) as source,
    ):
        assert error(image(source)) < 8
        # No picture is due before the damaged one has passed.
        with pytest.raises(CorruptImage, match="made from a damaged or lost one"):
            source.read(1, time.monotonic() + 0.6)
        camera.pictures = only[1:]
        with pytest.raises(SourceError, match="no key frame that ends it"):
            while True:
                with contextlib.suppress(CorruptImage):
                    source.read(2, 0.0)


def test_pictures_too_large_for_the_pod_are_a_reason(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MOST_PIXELS", 160 * 128)
    assert sizes(RtspCamera(PICTURES), stopping) == [(128, 160, 3)] * 5
    monkeypatch.setattr(video, "MOST_PIXELS", 160 * 128 - 1)
    with pytest.raises(SourceError, match=r"160 x 128 pixels: .*argus:producers.memory"):
        sizes(RtspCamera(PICTURES), stopping)


def test_a_picture_that_becomes_too_large_is_not_decoded(
    stopping: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MOST_PIXELS", 160 * 128)
    larger = encoded([np.full((240, 320, 3), 90, np.uint8)] * 60, 10)
    camera = RtspCamera(PICTURES[:10])
    with (
        rtsp_camera(camera),
        open_source(make_camera(camera.url, frames_per_second=20), None, LIMIT, stopping) as source,
    ):
        image(source)
        camera.pictures = larger
        found = set()
        with pytest.raises(SourceError, match="undecodable"):
            while True:
                try:
                    found.add(image(source).shape)
                except CorruptImage:
                    continue
    assert found <= {(128, 160, 3)}


def test_a_clip_whose_times_jump_goes_on(stopping: threading.Event, tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(scene(number), format="bgr24")
            frame.pts = number if number < 10 else number + 25 * 3600
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_source(make_camera(f"file://{path}", frames_per_second=20), None, LIMIT, stopping) as source:
        assert [image(source).shape for _ in range(30)] == [(128, 160, 3)] * 30
