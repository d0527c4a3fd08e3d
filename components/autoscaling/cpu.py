"""Scales the number of pods by their CPU use."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import autoscaling

from components import kubernetes as k
from components.config.sections import UiReplicas


@dataclass(frozen=True, kw_only=True)
class CpuScalingArgs:
    """Arguments of CpuScaling; the workload is a Deployment."""

    workload: k.Workload
    replicas: UiReplicas


class CpuScaling(pulumi.ComponentResource):
    """A HorizontalPodAutoscaler for a Deployment without `replicas`; it needs metrics-server.

    The target is an amount of CPU, not a share of the request: requests here are small, so that idle pods fit, and do
    not show how much a pod can do.
    """

    def __init__(self, name: str, args: CpuScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:autoscaling:CpuScaling", name, None, opts)
        autoscaling.v2.HorizontalPodAutoscaler(
            f"{name}-autoscaler",
            metadata=args.workload.metadata(),
            spec=autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=autoscaling.v2.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind="Deployment", name=args.workload.name
                ),
                min_replicas=args.replicas.minimum,
                max_replicas=args.replicas.maximum,
                metrics=[
                    autoscaling.v2.MetricSpecArgs(
                        type="Resource",
                        resource=autoscaling.v2.ResourceMetricSourceArgs(
                            name="cpu",
                            target=autoscaling.v2.MetricTargetArgs(
                                type="AverageValue", average_value=f"{args.replicas.target_millicores}m"
                            ),
                        ),
                    )
                ],
                behavior=autoscaling.v2.HorizontalPodAutoscalerBehaviorArgs(
                    scale_down=autoscaling.v2.HPAScalingRulesArgs(
                        stabilization_window_seconds=args.replicas.cool_down_seconds
                    )
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
