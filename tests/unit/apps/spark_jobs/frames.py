"""Frames for the tests of the model jobs."""

from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from apps.messages import Frame

STARTED = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


def scene(seed: int = 0, size: tuple[int, int] = (640, 360)) -> npt.NDArray[np.uint8]:
    """A smooth background, the same for the same seed."""
    noise = np.random.default_rng(seed).integers(40, 200, (size[1], size[0], 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (31, 31), 0), dtype=np.uint8)


def encode(image: npt.NDArray[np.uint8], quality: int = 85) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


def frame(image: npt.NDArray[np.uint8], sequence: int = 1, camera: str = "gate", seconds: float | None = None) -> Frame:
    return Frame(
        camera=camera,
        sequence=sequence,
        captured_at=STARTED + timedelta(seconds=sequence if seconds is None else seconds),
        width=image.shape[1],
        height=image.shape[0],
        jpeg=encode(image),
    )
