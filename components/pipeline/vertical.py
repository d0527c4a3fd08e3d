"""Vertical scaling: which of the pipeline's stages get memory and CPU by their use, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apiextensions

from components import kubernetes as k
from components.autoscaling.vpa import GROUP, VERSION, Vpa
from components.config import Settings
from components.pipeline.stage import Stage

LABELS: Final = k.labels("vertical", "autoscaling")

MODES: Final = {"recommend": "Off", "apply": "InPlace"}
"""VPA's update mode for each of our modes: in place, so without a restart and never by eviction."""
RESTARTING: Final = {"recommend": "Off", "apply": "Recreate"}
"""The modes of a Java process, whose heap only a restart resizes: by eviction, within the disruption budget."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A workload that is scaled vertically."""

    kind: str
    name: str
    vertical: str
    """`recommend` or `apply`."""
    minimum_mib: int | None = None
    """The least memory (MiB) of a process with a heap, which is a share of its memory; None without a heap."""
    beside: Sequence[str] = ()
    """The containers beside it, which keep their sizes."""

    @property
    def spec(self) -> dict[str, Any]:
        """The VerticalPodAutoscaler's specification."""
        restarts = self.minimum_mib is not None
        policy: dict[str, Any] = {
            "containerName": "*",
            # Restart only for memory: the CPU used by a restart would cause the next one.
            "controlledResources": ["memory"] if restarts else ["cpu", "memory"],
            # The ratio of limit to request stays as in the stack.
            "controlledValues": "RequestsAndLimits",
        }
        if restarts:
            policy["minAllowed"] = {"memory": f"{self.minimum_mib}Mi"}
        beside = [{"containerName": name, "mode": "Off"} for name in self.beside]
        return {
            "targetRef": {"apiVersion": "apps/v1", "kind": self.kind, "name": self.name},
            "updatePolicy": {
                "updateMode": (RESTARTING if restarts else MODES)[self.vertical],
                # A single pod may be changed if that does not restart it.
                "minReplicas": 2 if restarts else 1,
            },
            "resourcePolicy": {"containerPolicies": [*beside, policy]},
        }


def targets(settings: Settings, stages: Sequence[Stage]) -> list[Target]:
    """The workloads whose section enables vertical scaling; a heap never becomes smaller than the stack's value."""
    return [
        Target(
            kind=stage.kind,
            name=name,
            vertical=section.vertical,
            minimum_mib=section.memory.request_mib if stage.memory_key == "heapMiB" else None,
            beside=tuple(stage.beside(settings)),
        )
        for stage in stages
        for name, section in stage.workloads_of(settings).items()
        if getattr(section, "vertical", "off") != "off"
    ]


@dataclass(frozen=True, kw_only=True)
class VerticalScalingArgs:
    """Arguments of VerticalScaling."""

    namespace: pulumi.Input[str]
    vpa: Vpa
    targets: Sequence[Target]


class VerticalScaling(pulumi.ComponentResource):
    """A VerticalPodAutoscaler per workload. Executors have none: their driver creates them, not a controller."""

    def __init__(self, name: str, args: VerticalScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:VerticalScaling", name, None, opts)
        for target in args.targets:
            apiextensions.CustomResource(
                f"{name}-{target.name}",
                api_version=f"{GROUP}/{VERSION}",
                kind="VerticalPodAutoscaler",
                metadata=k.metadata(target.name, args.namespace, LABELS),
                spec=target.spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[args.vpa]),
            )
        self.register_outputs({})
