"""`python -m tests.labels FOOTAGE OUT`: a PNG a run, all its frames with their boxes drawn, for a person to look at.

FOOTAGE is a folder that has the footage's files, at any depth. Green counts, red does not.
"""

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.labels import Run, runs

Picture = NDArray[np.uint8]

COLUMNS = 3


def read_frames(folder: Path, run: Run) -> list[Picture]:
    """The sent pictures of a run, (height, width, 3) in BGR.

    Raises FileNotFoundError without the pinned footage in the folder, ValueError if it has too few frames.
    """
    video = cv2.VideoCapture(str(find_footage(folder, run)))
    pictures: list[Picture] = []
    for number in range(run.first + run.count):
        read, picture = video.read()
        if not read:
            raise ValueError(f"{run.footage} ends at frame {number}, {run.name} needs {run.first + run.count}")
        if number >= run.first:
            left, top, width, height = run.crop or (0, 0, *run.picture)
            pictures.append(np.asarray(picture, np.uint8)[top : top + height, left : left + width].copy())
    return pictures


def find_footage(folder: Path, run: Run) -> Path:
    """The file with the run's name and checksum; raises FileNotFoundError if there is none."""
    for path in sorted(folder.rglob(run.footage)):
        if hashlib.sha256(path.read_bytes()).hexdigest() == run.sha256:
            return path
    raise FileNotFoundError(f"no {run.footage} with sha256 {run.sha256} below {folder}")


def draw(picture: Picture, run: Run, frame: int) -> Picture:
    """The picture at twice its size with the frame's boxes."""
    drawn = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    for label, box, counts in run.truth(frame):
        left, top, right, bottom = (round(2 * edge) for edge in box)
        colour = (0, 255, 0) if counts else (0, 0, 255)
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), colour, 1)
        cv2.putText(drawn, label, (left, max(top - 3, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1)
    cv2.putText(drawn, f"{run.name} {frame}", (4, drawn.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 255, 255), 2)
    return np.asarray(drawn, np.uint8)


def contact_sheet(pictures: list[Picture]) -> Picture:
    """Pictures of one size, three per row; unused places are black."""
    blank = np.zeros_like(pictures[0])
    padded = pictures + [blank] * (-len(pictures) % COLUMNS)
    rows = [np.hstack(padded[at : at + COLUMNS]) for at in range(0, len(padded), COLUMNS)]
    return np.vstack(rows)


def main() -> None:
    """Write one sheet per run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("footage", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for run in runs():
        pictures = read_frames(options.footage, run)
        drawn = [draw(picture, run, frame) for picture, frame in zip(pictures, run.frames, strict=True)]
        path = options.out / f"{run.name}.png"
        cv2.imwrite(str(path), contact_sheet(drawn))
        print(path)


if __name__ == "__main__":
    main()
