"""What code of one's own imports to be a model of Argus: `from apps.model_api import Detection, Frame`.

A model is a folder with `model.py`, which holds one class:

    class Model:
        def __init__(self) -> None: ...
        def detect(self, frame: Frame) -> Iterable[Detection]: ...

docs/python-models.md says the rest. `python -m apps.model_api FOLDER PICTURE` runs it on a picture.
"""

from apps.messages import Detection, FrameError, Keypoint, Point
from apps.model_api.frame import Frame

__all__ = ["Detection", "Frame", "FrameError", "Keypoint", "Point"]
