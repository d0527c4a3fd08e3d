"""What is wrong with a camera's view: dark, covered or blurred, as a detection of the whole frame."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from apps.model_api import Detection, Frame

WIDTH = 320
"""Frames are looked at in this width, so that one limit holds for every camera."""


class Model:
    """The limits are in limits.toml. A score says how far below its limit a frame is: 0 at the limit, 1 at zero."""

    def __init__(self) -> None:
        self.limits: dict[str, float] = tomllib.loads(Path("limits.toml").read_text())

    def detect(self, frame: Frame) -> Iterator[Detection]:
        """The faults of the view, none where it is good."""
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        grey = cv2.resize(grey, (WIDTH, max(1, frame.height * WIDTH // frame.width)), interpolation=cv2.INTER_AREA)
        measured = {
            "dark": float(np.percentile(grey, 95)),
            "covered": float(grey.std()),
            "blurred": float(cv2.Laplacian(grey, cv2.CV_64F).var()),
        }
        for label, value in measured.items():
            if value < self.limits[label]:
                score = 1 - value / self.limits[label]
                yield Detection(label=label, score=score, box=(0, 0, frame.width, frame.height))
                # A dark view has no contrast, and one without contrast has no edges: the first fault is the one.
                return
