"""A dataset in Ultralytics' layout, rendered: images already in the detector's input shape, one label file each."""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from apps.scenes import LABELS, render, truth
from apps.scenes.seed import seeded_random
from apps.training.picture import INPUT_HEIGHT, INPUT_WIDTH, letterbox

FRAMES_PER_CAMERA = 4

FRAME_WIDTHS = (640, 640, 640, 480, 800)
"""The widths of frames from producers, mostly their default."""


def render_dataset(folder: Path, images: int, seed: int, split: str, processes: int = 1) -> None:
    """Render `images` frames of new cameras into `folder/split`. Equal arguments give equal datasets."""
    (folder / "images" / split).mkdir(parents=True, exist_ok=True)
    (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    cameras = range((images + FRAMES_PER_CAMERA - 1) // FRAMES_PER_CAMERA)
    work = partial(_render_camera, folder, seed, split)
    if processes == 1:
        for camera in cameras:
            work(camera)
    else:
        with ProcessPoolExecutor(processes) as pool:
            list(pool.map(work, cameras, chunksize=16))


def write_description(folder: Path, splits: dict[str, str]) -> Path:
    """Write Ultralytics' `data.yaml` with the folders of the splits and the class names. Returns its path."""
    description = folder / "data.yaml"
    document = {
        "path": str(folder.resolve()),
        **{split: f"images/{place}" for split, place in splits.items()},
        "names": dict(enumerate(LABELS)),
    }
    description.write_text(json.dumps(document, indent=2) + "\n")
    return description


def _render_camera(folder: Path, seed: int, split: str, number: int) -> None:
    cv2.setNumThreads(1)
    camera = f"{split}-{seed}-{number:05d}"
    rng = seeded_random("dataset", camera)
    for _ in range(FRAMES_PER_CAMERA):
        sequence = rng.randrange(1 << 44)
        width = rng.choice(FRAME_WIDTHS)
        height = width * 9 // 16
        quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randint(65, 92)]
        jpeg = cv2.imencode(".jpg", render(camera, sequence, width, height), quality)[1]
        # The Spark job decodes large frames at half size, so the model must learn both.
        reduced = width >= 2 * INPUT_WIDTH and rng.random() < 0.5
        mode = cv2.IMREAD_REDUCED_COLOR_2 if reduced else cv2.IMREAD_COLOR
        seen = np.asarray(cv2.imdecode(jpeg, mode), dtype=np.uint8)
        picture, scale, left, top = letterbox(seen)
        scale *= seen.shape[1] / width
        rows = []
        for found in truth(camera, sequence, width, height):
            x1, y1, x2, y2 = (edge * scale for edge in found.box)
            centre = ((x1 + x2) / 2 + left) / INPUT_WIDTH, ((y1 + y2) / 2 + top) / INPUT_HEIGHT
            size = (x2 - x1) / INPUT_WIDTH, (y2 - y1) / INPUT_HEIGHT
            numbers = " ".join(f"{share:.6f}" for share in (*centre, *size))
            rows.append(f"{LABELS.index(found.label)} {numbers}\n")
        name = f"{camera}-{sequence}"
        cv2.imwrite(str(folder / "images" / split / f"{name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        (folder / "labels" / split / f"{name}.txt").write_text("".join(rows))


def main() -> None:
    """Render a training and a validation set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--validation-images", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    render_dataset(options.folder, options.images, options.seed, "train", options.processes)
    render_dataset(options.folder, options.validation_images, options.seed, "val", options.processes)
    write_description(options.folder, {"train": "train", "val": "val"})


if __name__ == "__main__":
    main()
