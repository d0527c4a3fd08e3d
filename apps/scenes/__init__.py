"""Rendered street scenes with exact ground truth, for `synthetic://` cameras, training and tests.

`render` and `truth` are pure functions of the camera's name and the frame's sequence, so any later stage can recompute
a frame's content from its identity alone.
"""

from apps.scenes.actors import LABELS
from apps.scenes.render import render
from apps.scenes.truth import Truth, all_actors, truth

__all__ = ["LABELS", "Truth", "all_actors", "render", "truth"]
