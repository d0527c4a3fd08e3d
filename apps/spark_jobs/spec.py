"""What an executor needs to know of its job."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ModelKind = Literal["objects", "motion"]


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """The part of the settings that travels to the executors with the query, once per task."""

    model: str
    kind: ModelKind
    weights: Path
    score_threshold: float
    threads: int
    results_topic: str
    rejected_topic: str
    max_frame_bytes: int
