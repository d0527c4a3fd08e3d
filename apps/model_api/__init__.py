"""The API for a user's own model: `from apps.model_api import Detection, Frame`.

A model is a folder with `model.py`, which defines one class:

    class Model:
        def __init__(self) -> None: ...
        def detect(self, frame: Frame) -> Iterable[Detection]: ...

See docs/python-models.md. `python -m apps.model_api FOLDER PICTURE` runs the model on a picture.
"""

from apps.messages import Detection, FrameError, Keypoint, Point
from apps.model_api.frame import Frame

__all__ = ["Detection", "Frame", "FrameError", "Keypoint", "Point"]
