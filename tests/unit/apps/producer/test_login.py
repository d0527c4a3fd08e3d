"""Where a camera's login goes, and that no error shows it."""

import logging
import threading
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from apps.producer.camera import CameraWorker
from apps.producer.pace import Backoff
from apps.producer.settings import Credentials
from apps.producer.sources import Source, SourceError, open_source
from tests.unit.apps.producer.conftest import FakeSender, make_camera
from tests.unit.apps.producer.mjpeg_server import MjpegCamera, mjpeg_camera
from tests.unit.waiting import wait_for


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera([]) as camera:
        camera.rounds = 0
        yield camera


def test_a_login_in_the_query_is_sent_there_and_nowhere_else(camera: MjpegCamera, stopping: threading.Event) -> None:
    login = Credentials(username="me", password=SecretStr("p@ss w/&"))
    url = f"{camera.url}?user={{username}}&pwd={{password}}"
    with open_source(make_camera(url), login, 1000, stopping):
        pass
    assert camera.paths == ["/stream?user=me&pwd=p%40ss%20w%2F%26"]
    assert camera.authorizations == [None]


def test_a_login_that_ffmpeg_would_cut_off_is_a_reason(stopping: threading.Event) -> None:
    login = Credentials(username="me", password=SecretStr("#" * 42))
    with pytest.raises(SourceError, match="longer than the 127 bytes"):
        open_source(make_camera("rtsp://127.0.0.1:9/x"), login, 1000, stopping)


def test_the_text_of_an_unforeseen_error_is_neither_logged_nor_shown(
    stopping: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    password = "-".join(("hu", "sh"))

    def open_source() -> Source:
        raise RuntimeError(f"rtsp://me:{password}@camera/1")

    worker = CameraWorker(
        make_camera("rtsp://camera/1"),
        open_source,
        FakeSender(),
        stopping,
        max_frame_bytes=1000,
        backoff=Backoff(first=0.01),
    )
    with caplog.at_level(logging.DEBUG):
        worker.start()
        wait_for(lambda: worker.status.error == "RuntimeError")
        stopping.set()
        worker.join(5)
    assert "RuntimeError" in caplog.text and "test_login.py" in caplog.text
    assert password not in caplog.text
