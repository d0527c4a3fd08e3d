"""What a job of a test runs."""

from pathlib import Path
from typing import Any

from apps.spark_jobs.spec import JobSpec
from apps.weights import Contract


def spec(weights: Path, **changes: Any) -> JobSpec:
    return JobSpec(
        **{
            "model": "objects",
            "kind": "objects",
            "weights": weights,
            "size": None,
            "precision": "fp32",
            "device": "CPU",
            "contract": Contract(),
            "labels": None,
            "score_threshold": 0.4,
            "score_thresholds": (),
            "code": Path("/nowhere"),
            "call_seconds": 1.0,
            "call_memory_mib": 128,
            "threads": 1,
            "results_topic": "results.objects",
            "rejected_topic": "rejected",
            "max_frame_bytes": 1_000_000,
            **changes,
        }
    )
