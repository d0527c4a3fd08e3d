"""Memory and CPU by use: which of the pipeline's stages are watched, and how they are given what they use."""

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
"""VPA's word for ours. In place, without a restart and never by eviction."""
RESTARTING: Final = {"recommend": "Off", "apply": "Recreate"}
"""Where only a restart helps, as a Java heap is as large as it was made: by eviction, which the budget may refuse."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A workload whose pods are watched."""

    kind: str
    name: str
    vertical: str
    """recommend or apply."""
    minimum_mib: int | None = None
    """Never less memory than this; for what has a heap, whose share it is."""

    @property
    def spec(self) -> dict[str, Any]:
        """The VerticalPodAutoscaler's specification."""
        restarts = self.minimum_mib is not None
        policy: dict[str, Any] = {
            "containerName": "*",
            # A restart is for memory alone; the CPU that it takes would be the reason for the next one.
            "controlledResources": ["memory"] if restarts else ["cpu", "memory"],
            # The limit stays as many times the request as the stack has it.
            "controlledValues": "RequestsAndLimits",
        }
        if restarts:
            policy["minAllowed"] = {"memory": f"{self.minimum_mib}Mi"}
        return {
            "targetRef": {"apiVersion": "apps/v1", "kind": self.kind, "name": self.name},
            "updatePolicy": {
                "updateMode": (RESTARTING if restarts else MODES)[self.vertical],
                # A single pod may be changed where that does not restart it.
                "minReplicas": 2 if restarts else 1,
            },
            "resourcePolicy": {"containerPolicies": [policy]},
        }


def targets(settings: Settings, stages: Sequence[Stage]) -> list[Target]:
    """The workloads of the stages whose section asks for it; a heap is never made smaller than the stack says."""
    return [
        Target(
            kind=stage.kind,
            name=name,
            vertical=section.vertical,
            minimum_mib=section.memory.request_mib if stage.memory_key == "heapMiB" else None,
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
    """A VerticalPodAutoscaler for each workload. Executors have none: their driver makes them, and no controller."""

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
