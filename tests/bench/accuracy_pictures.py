"""The labelled frames as producers send them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.messages import Frame
from apps.producer.image import encode
from apps.producer.settings import Camera
from tests.labels import Run
from tests.scoring import Real

Image = NDArray[np.uint8]


def read_run(folder: Path, run: Run) -> Iterator[Image]:
    """The run's pictures, as a camera would show them."""
    video = cv2.VideoCapture(str(folder / run.footage))
    try:
        for number in range(run.first + run.count):
            read, image = video.read()
            if not read:
                raise ValueError(f"{run.footage} ends before frame {number}, and {run.name} is longer")
            if number >= run.first:
                x, y, width, height = run.crop or (0, 0, image.shape[1], image.shape[0])
                yield np.ascontiguousarray(image[y : y + height, x : x + width])
    finally:
        video.release()


def sent(image: Image, camera: str, sequence: int) -> tuple[Frame, float]:
    """The frame that a producer makes of the image, and its scale relative to the image."""
    settings = Camera(name=camera, url="synthetic://street", frames_per_second=1, width=640, jpeg_quality=80)
    encoded = encode(image, settings)
    frame = Frame(
        camera=camera,
        sequence=sequence,
        captured_at=datetime(2026, 11, 28, tzinfo=UTC),
        width=encoded.width,
        height=encoded.height,
        jpeg=encoded.jpeg,
    )
    return frame, encoded.width / image.shape[1]


def truth(run: Run, number: int, scale: float) -> tuple[Real, ...]:
    """What is labelled in a frame of the run, in pixels of the sent picture. Raises KeyError for another frame."""
    return tuple(
        Real(label=label, box=(x1 * scale, y1 * scale, x2 * scale, y2 * scale), counts=counts)
        for label, (x1, y1, x2, y2), counts in run.truth(number)
    )
