"""Pictures of odd kinds come out as anybody would see them: turned, grey, in the colours of print, with more bits."""

import io
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from apps.producer.image import prepare
from apps.producer.jpeg import Jpeg, read_jpeg
from apps.producer.sources import CorruptImage, open_source
from tests.unit.apps.producer.conftest import make_camera

WIDTH, HEIGHT = 160, 96


def pattern() -> NDArray[np.uint8]:
    """Four quarters of different colours (BGR), so that turns and swapped colours are seen."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = (40, 40, 200)
    image[: HEIGHT // 2, WIDTH // 2 :] = (40, 180, 40)
    image[HEIGHT // 2 :, : WIDTH // 2] = (200, 60, 40)
    image[HEIGHT // 2 :, WIDTH // 2 :] = (128, 128, 128)
    return image


def clip(folder: Path, *encoding: str, name: str = "clip.mkv") -> Path:
    """A clip of the pattern."""
    cv2.imwrite(str(folder / "pattern.png"), pattern())
    command = ["ffmpeg", "-loglevel", "error", "-loop", "1", "-framerate", "10", "-i", str(folder / "pattern.png")]
    subprocess.run([*command, "-t", "1", *encoding, str(folder / name)], check=True, timeout=60)
    return folder / name


def first_picture(path: Path, width: int, stopping: threading.Event) -> NDArray[np.uint8]:
    with open_source(make_camera(f"file://{path}", width=width), None, 1000, stopping) as source:
        shot = source.read(0, 0.0)
    assert shot is not None and not isinstance(shot.image, Jpeg)
    return shot.image


def assert_alike(found: NDArray[np.uint8], expected: NDArray[np.uint8], tolerance: float = 6) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < tolerance


@pytest.mark.parametrize(
    "encoding",
    [
        ("-c:v", "libx264", "-pix_fmt", "yuv420p"),
        ("-c:v", "libx264", "-pix_fmt", "yuvj420p"),
        ("-c:v", "libx264", "-pix_fmt", "yuv422p"),
        ("-c:v", "libx264", "-pix_fmt", "yuv444p"),
        ("-c:v", "libx264", "-pix_fmt", "yuv420p10le"),
        ("-c:v", "ffv1", "-pix_fmt", "yuv420p16le"),
        ("-c:v", "ffv1", "-pix_fmt", "gbrp16le"),
        ("-c:v", "png", "-pix_fmt", "rgb48be"),
        ("-c:v", "mjpeg", "-pix_fmt", "yuvj422p"),
    ],
    ids=lambda encoding: f"{encoding[1]} {encoding[3]}",
)
def test_colours_of_every_depth(tmp_path: Path, stopping: threading.Event, encoding: tuple[str, ...]) -> None:
    path = clip(tmp_path, *encoding)
    assert_alike(first_picture(path, 640, stopping), pattern())
    half = cv2.resize(pattern(), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    assert_alike(first_picture(path, WIDTH // 2, stopping), np.asarray(half, np.uint8))


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 1), (1, 1)), ((2, 70), (2, 70)), ((7, 5), (7, 5)), ((640, 1), (64, 1)), ((99, 5), (64, 3))],
)
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_video_of_any_size(
    tmp_path: Path, stopping: threading.Event, codec: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    scale = ("-vf", f"scale={size[0]}:{size[1]}", "-pix_fmt", "yuv444p")
    found = first_picture(clip(tmp_path, *scale, "-c:v", codec), 64, stopping)
    assert found.shape[1::-1] == expected


def test_a_clip_without_times_is_played(tmp_path: Path, stopping: threading.Event) -> None:
    path = clip(tmp_path, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-f", "h264", name="clip.h264")
    assert_alike(first_picture(path, 640, stopping), pattern())


@pytest.mark.parametrize("encoding", [("libx264", "gray"), ("ffv1", "gray16le"), ("ffv1", "gray10le")], ids=" ".join)
def test_grey_of_every_depth(tmp_path: Path, stopping: threading.Event, encoding: tuple[str, str]) -> None:
    found = first_picture(clip(tmp_path, "-c:v", encoding[0], "-pix_fmt", encoding[1]), 640, stopping)
    grey = cv2.cvtColor(cv2.cvtColor(pattern(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert_alike(found, np.asarray(grey, np.uint8))


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_video_that_asks_for_a_turn_is_turned(tmp_path: Path, stopping: threading.Event, angle: int) -> None:
    straight = clip(tmp_path, "-c:v", "libx264", "-pix_fmt", "yuv420p", name="straight.mp4")
    turned, seen = tmp_path / "turned.mp4", tmp_path / "seen.png"
    command = ["ffmpeg", "-loglevel", "error", "-i"]
    # ffmpeg itself turns what it converts, but not what it copies.
    asking = ["-c", "copy", "-metadata:s:v", f"rotate={angle}", str(turned)]
    subprocess.run([*command, str(straight), *asking], check=True, timeout=60)
    subprocess.run([*command, str(turned), "-frames:v", "1", str(seen)], check=True, timeout=60)
    expected = np.asarray(cv2.imread(str(seen)), np.uint8)
    assert np.abs(expected[5, 5].astype(int) - pattern()[5, 5]).max() > 50
    assert_alike(first_picture(turned, 640, stopping), expected)
    height, width = (side * 3 // 4 for side in expected.shape[:2])
    smaller = np.asarray(cv2.resize(expected, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    assert_alike(first_picture(turned, width, stopping), smaller)


def sent(jpeg: bytes) -> NDArray[np.uint8]:
    """What is sent of a camera's JPEG, decoded."""
    encoded = prepare(read_jpeg(jpeg), make_camera("http://camera/1"), 10**6)
    assert read_jpeg(encoded.jpeg).plain
    return np.asarray(cv2.imdecode(np.frombuffer(encoded.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_a_jpeg_of_any_colours(mode: str) -> None:
    image = PIL.Image.fromarray(np.ascontiguousarray(pattern()[:, :, ::-1])).convert(mode)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=95)
    expected = np.asarray(image.convert("RGB"))[:, :, ::-1]
    assert_alike(sent(data.getvalue()), np.asarray(expected, np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_that_asks_for_a_turn_is_turned(orientation: int) -> None:
    image = PIL.Image.fromarray(np.ascontiguousarray(pattern()[:, :, ::-1]))
    exif, data = PIL.Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(data, "JPEG", quality=95, exif=exif)
    turned = PIL.Image.open(data)
    operations = {
        2: [PIL.Image.Transpose.FLIP_LEFT_RIGHT],
        3: [PIL.Image.Transpose.ROTATE_180],
        4: [PIL.Image.Transpose.FLIP_TOP_BOTTOM],
        5: [PIL.Image.Transpose.TRANSPOSE],
        6: [PIL.Image.Transpose.ROTATE_270],
        7: [PIL.Image.Transpose.TRANSVERSE],
        8: [PIL.Image.Transpose.ROTATE_90],
    }
    expected: PIL.Image.Image = turned.convert("RGB")
    for operation in operations.get(orientation, []):
        expected = expected.transpose(operation)
    assert_alike(sent(data.getvalue()), np.asarray(np.asarray(expected)[:, :, ::-1], np.uint8))


def test_a_jpeg_with_twelve_bits_is_a_reason() -> None:
    data = cv2.imencode(".jpg", pattern())[1].tobytes()
    at = data.index(b"\xff\xc0")
    with pytest.raises(CorruptImage, match="do not decode"):
        sent(data[: at + 1] + b"\xc1" + data[at + 2 : at + 4] + b"\x0c" + data[at + 5 :])
