"""Filters a model's detections by the labels and scores that the stack wants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apps.messages import Detection
from apps.spark_jobs.spec import JobSpec
from apps.weights.contract import Thresholds

DEFAULT_SCORE = 0.35
"""The threshold where neither the stack nor the model sets one."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """`labels` None means every label. `by_label` are the thresholds that differ from `threshold`."""

    threshold: float
    by_label: Mapping[str, float]
    labels: frozenset[str] | None

    @classmethod
    def of(cls, spec: JobSpec, recommended: Thresholds) -> "Wanted":
        """The filter for a job. A `score_threshold` in the stack replaces all recommended thresholds."""
        by_label, threshold = dict(spec.score_thresholds), spec.score_threshold
        if threshold is None:
            by_label = dict(recommended.by_label) | by_label
            threshold = DEFAULT_SCORE if recommended.default is None else recommended.default
        labels = None if spec.labels is None else frozenset(spec.labels)
        return cls(threshold=threshold, by_label=by_label, labels=labels)

    @property
    def lowest(self) -> float:
        """The lowest threshold of any wanted label: a model may ignore lower scores."""
        if self.labels is not None:
            return min(self.by_label.get(label, self.threshold) for label in self.labels)
        return min(self.threshold, *self.by_label.values()) if self.by_label else self.threshold

    def kept(self, found: Iterable[Detection]) -> tuple[Detection, ...]:
        """The wanted detections, in their order."""
        return tuple(
            one
            for one in found
            if (self.labels is None or one.label in self.labels)
            and one.score >= self.by_label.get(one.label, self.threshold)
        )
