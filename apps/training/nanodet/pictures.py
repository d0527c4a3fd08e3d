"""The pictures that calibrate int8: photographs from Python packages, and rendered street scenes.

None comes from the footage that measures accuracy. All are free to use (docs/licences.md) and none is kept in this
repository: the packages are pinned in `requirements.txt`, each photograph by its checksum here.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from apps.model_api.jpeg import Image
from apps.scenes import render
from apps.scenes.seed import seeded_random


class PictureError(RuntimeError):
    """A calibration picture is missing or is not the pinned one."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A file of an installed package; `path` begins with the package."""

    path: str
    sha256: str
    licence: str


PHOTOGRAPHS = (
    Photograph(
        path="skimage/data/astronaut.png",
        sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        licence="public domain (NASA)",
    ),
    Photograph(
        path="skimage/data/camera.png",
        sha256="b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        licence="CC0 (Lav Varshney)",
    ),
    Photograph(
        path="skimage/data/chelsea.png",
        sha256="596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        licence="CC0 (Stefan van der Walt)",
    ),
    Photograph(
        path="skimage/data/coffee.png",
        sha256="cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        licence="CC0 (Rachel Michetti)",
    ),
    Photograph(
        path="skimage/data/rocket.jpg",
        sha256="c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        licence="public domain (SpaceX)",
    ),
    Photograph(
        path="sklearn/datasets/images/china.jpg",
        sha256="8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        licence="CC BY 2.0 (danielbuechele)",
    ),
    Photograph(
        path="sklearn/datasets/images/flower.jpg",
        sha256="a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        licence="CC BY 2.0 (vultilion)",
    ),
)

COLLAGES = 64
SCENES = 96
COLLAGE_SIZE = (768, 576)
"""Width and height in pixels, as of many cameras."""


def calibration_pictures() -> Iterator[Image]:
    """The pictures (height, width, 3), BGR, always the same in the same order. Raises PictureError."""
    photographs = [read_photograph(each) for each in PHOTOGRAPHS]
    yield from photographs
    for number in range(COLLAGES):
        yield collage(photographs, seeded_random("calibration", "collage", number))
    for number in range(SCENES):
        camera = f"calibration-{number:03d}"
        yield np.asarray(render(camera, seeded_random(camera).randrange(1 << 44)), dtype=np.uint8)


def read_photograph(photograph: Photograph) -> Image:
    """The decoded photograph (height, width, 3), BGR. Raises PictureError."""
    package, _, name = photograph.path.partition("/")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise PictureError(f"the package {package} is not installed: see apps/training/nanodet")
    path = Path(found.origin).parent / name
    try:
        content = path.read_bytes()
    except OSError as unreadable:
        raise PictureError(f"{path} cannot be read: {unreadable.strerror}") from unreadable
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != photograph.sha256:
        raise PictureError(f"{path} has the SHA-256 {sha256}, not the pinned {photograph.sha256}")
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


def collage(photographs: list[Image], rng: random.Random) -> Image:
    """Four pieces of photographs in random light: objects as small and as many as in a camera's view."""
    width, height = COLLAGE_SIZE
    across, down = rng.randint(width // 4, 3 * width // 4), rng.randint(height // 4, 3 * height // 4)
    canvas: Image = np.empty((height, width, 3), np.uint8)
    for top, bottom in ((0, down), (down, height)):
        for left, right in ((0, across), (across, width)):
            canvas[top:bottom, left:right] = _piece(rng.choice(photographs), right - left, bottom - top, rng)
    gain, offset = rng.uniform(0.4, 1.3), rng.uniform(-15, 25)
    return np.asarray(cv2.convertScaleAbs(canvas, alpha=gain, beta=offset), dtype=np.uint8)


def _piece(photograph: Image, width: int, height: int, rng: random.Random) -> Image:
    """A random piece, scaled to this size in pixels, of at least 30 % of the photograph."""
    rows, columns = photograph.shape[:2]
    most = min(columns / width, rows / height)
    share = rng.uniform(0.3, 1.0) * most
    wide, high = max(1, int(width * share)), max(1, int(height * share))
    left, top = rng.randint(0, columns - wide), rng.randint(0, rows - high)
    piece = photograph[top : top + high, left : left + wide]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    return np.asarray(cv2.resize(piece, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
