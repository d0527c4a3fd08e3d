"""Detections against ground truth: matched greedily by score at IoU 0.5, label for label."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.scenes import Truth

Box = Sequence[float]


@dataclass(kw_only=True)
class Score:
    """Counts over many frames."""

    matched: int = 0
    detected: int = 0
    present: int = 0

    @property
    def precision(self) -> float:
        """Of what was detected, the part that is there."""
        return self.matched / self.detected if self.detected else 0.0

    @property
    def recall(self) -> float:
        """Of what is there, the part that was detected."""
        return self.matched / self.present if self.present else 0.0

    def add(self, detections: Sequence[tuple[str, float, Box]], truth: Sequence[Truth]) -> None:
        """Counts one frame: detections as (label, score, box), boxes as x1, y1, x2, y2.

        A detection of something that is there and does not count is neither right nor wrong.
        """
        left = list(truth)
        self.present += sum(real.counts for real in left)
        for label, _, box in sorted(detections, key=lambda found: -found[1]):
            candidates = [
                (real.counts, shared, place)
                for place, real in enumerate(left)
                if real.label == label and (shared := iou(box, real.box)) >= 0.5
            ]
            if not candidates:
                self.detected += 1
                continue
            counts, _, place = max(candidates)
            left.pop(place)
            self.detected += counts
            self.matched += counts


def iou(one: Box, two: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((one[2] - one[0]) * (one[3] - one[1]) + (two[2] - two[0]) * (two[3] - two[1]) - shared)
