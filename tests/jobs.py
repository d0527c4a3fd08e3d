"""The specs of tests' jobs."""

from pathlib import Path
from typing import Any

from apps.spark_jobs.spec import JobSpec
from apps.weights import Contract

NOWHERE = Path("/nowhere")


def job_spec(kind: str = "objects", weights: Path = NOWHERE, **changes: Any) -> JobSpec:
    """A minimal job with a model of this kind, with changes."""
    plain: dict[str, Any] = {
        "model": kind,
        "kind": kind,
        "weights": weights,
        "size": None,
        "precision": "auto",
        "device": "CPU",
        "contract": Contract(),
        "labels": None,
        "score_threshold": None,
        "score_thresholds": (),
        "code": NOWHERE,
        "call_seconds": 1.0,
        "call_memory_mib": 128,
        "gate_seconds": None,
        "ungated_cameras": (),
        "overload_seconds": None,
        "threads": 1,
        "results_topic": f"results.{kind}",
        "rejected_topic": "rejected",
        "max_frame_bytes": 1_000_000,
    }
    return JobSpec(**plain | changes)
