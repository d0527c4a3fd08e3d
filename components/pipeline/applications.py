"""The names and labels of the models' Spark applications."""

from __future__ import annotations

from typing import Final, Literal

from components import kubernetes as k
from components.pipeline.driver_policy import EXECUTOR

Role = Literal["driver", "executor"]
ROLES: Final[tuple[Role, ...]] = ("driver", EXECUTOR)


def job_name(model: str) -> str:
    """The name of the Kubernetes objects of the application that is named after this model."""
    return f"model-{model}"


def labels_of(model: str, role: Role) -> dict[str, str]:
    """The labels of an application's driver or executors."""
    return k.labels(job_name(model), role)


def pods_of(model: str, role: Role) -> str:
    """The key of an application's driver or executors in `Stage.pods`."""
    return f"{job_name(model)}-{role}"
