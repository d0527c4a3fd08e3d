"""The specs of tests' jobs."""

from pathlib import Path
from typing import Any

from apps.spark_jobs.spec import JobSpec
from tests.jobs import job_spec


def spec(weights: Path, **changes: Any) -> JobSpec:
    return job_spec(weights=weights, **{"precision": "fp32", "score_threshold": 0.4, **changes})
