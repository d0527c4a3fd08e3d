"""The settings of a model that its executors need."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apps.weights.contract import Contract, Precision

Offsets = dict[int, int]
"""Next offset to read, by partition."""

ModelKind = Literal["objects", "motion", "python"]


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One model's settings, which are sent to the executors with the query, once per task.

    Hashable, because a worker caches one model per spec. `score_thresholds` are pairs of a label and its threshold.
    `gate_seconds` is the longest time between two frames of a camera that are looked at; None: every frame is.
    `overload_seconds` is the delay beyond which frames are thinned; None: they never are.
    """

    model: str
    kind: ModelKind
    weights: Path
    size: str | None
    precision: Precision
    device: str
    contract: Contract
    labels: tuple[str, ...] | None
    score_threshold: float | None
    score_thresholds: tuple[tuple[str, float], ...]
    code: Path
    call_seconds: float
    call_memory_mib: int
    gate_seconds: float | None
    ungated_cameras: tuple[str, ...]
    overload_seconds: float | None
    threads: int
    results_topic: str
    rejected_topic: str
    max_frame_bytes: int
