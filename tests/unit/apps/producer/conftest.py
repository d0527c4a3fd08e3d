import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.messages import Frame
from apps.producer.settings import Camera


@pytest.fixture
def stopping() -> threading.Event:
    return threading.Event()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real H.264 clip with B-frames: 2 s at 20 pictures per second, a key frame every half second."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    source = "testsrc2=size=320x180:rate=20:duration=2"
    encoding = ["-c:v", "libx264", "-preset", "veryfast", "-g", "10", "-bf", "2", "-pix_fmt", "yuv420p"]
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, *encoding, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def make_camera(url: str, name: str = "gate", **settings: object) -> Camera:
    return Camera.model_validate({"name": name, "url": url, "frames_per_second": 10, **settings})


class FakeSender:
    """Accepts frames and answers at once, or when told to."""

    def __init__(self, *, delivered: Callable[[Frame], bool] = lambda _: True) -> None:
        self.frames: list[Frame] = []
        self.full = threading.Event()
        self._delivered = delivered

    def send(self, frame: Frame, answer: Callable[[bool], None]) -> bool:
        if self.full.is_set():
            return False
        self.frames.append(frame)
        answer(self._delivered(frame))
        return True
