"""Fits a frame into the detector's input, in the same way for training, evaluation and the Spark job."""

import cv2
import numpy as np
from numpy.typing import NDArray

INPUT_HEIGHT, INPUT_WIDTH = 192, 320
"""The detector's input in pixels: 320 wide, and the multiple of its stride nearest to 16:9."""

_GREY = 114


def letterbox(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float, int, int]:
    """The image (BGR) scaled to the input and centred on grey, and its scale, left and top to map boxes back."""
    height, width = image.shape[:2]
    scale = min(INPUT_WIDTH / width, INPUT_HEIGHT / height)
    wide, high = round(width * scale), round(height * scale)
    left, top = (INPUT_WIDTH - wide) // 2, (INPUT_HEIGHT - high) // 2
    canvas: NDArray[np.uint8] = np.full((INPUT_HEIGHT, INPUT_WIDTH, 3), _GREY, np.uint8)
    canvas[top : top + high, left : left + wide] = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA)
    return canvas, scale, left, top
