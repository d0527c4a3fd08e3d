"""Rendered street scenes with exact ground truth, for `synthetic://` cameras, training and tests.

`render` and `truth` are pure functions of the camera's name and the frame's sequence: nothing is stored, so any
later stage recomputes what a frame shows from the frame's identity alone.
"""

from apps.scenes.actors import LABELS
from apps.scenes.render import render
from apps.scenes.truth import Truth, everything, truth

__all__ = ["LABELS", "Truth", "everything", "render", "truth"]
