"""Pods by what waits for them in Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apiextensions

from components import kubernetes as k
from components.autoscaling.keda import API_VERSION, Keda
from components.config.sections import LagReplicas

SETTLE_SECONDS: Final = 30
"""More pods only when they have been needed for this long: two of the autoscaler's looks, so that a burst is none."""

STEP_SECONDS: Final = 60
"""One pod less at a time, and the group shares its partitions anew before the next goes."""


@dataclass(frozen=True, kw_only=True)
class LagScalingArgs:
    """Arguments of LagScaling; `kind` and `target` name what is scaled, which says no number itself."""

    keda: Keda | None
    namespace: pulumi.Input[str]
    kind: str
    target: pulumi.Input[str]
    labels: Mapping[str, str]
    bootstrap_servers: pulumi.Input[str]
    group: str
    """The consumer group of the pods; what waits is the sum over all its topics."""
    replicas: LagReplicas


class LagScaling(pulumi.ComponentResource):
    """A ScaledObject for the pods of one consumer group; beside Keda it needs metrics-server.

    As many pods as get through what waits within the target. That alone would let them go as soon as they keep up, and
    bring them back when they no longer do: so the CPU that they use holds them, as long as fewer would have too little.
    A partition whose offset stands still counts nothing, as no pod more would move it: a message that kills its reader
    brings no pods.
    """

    def __init__(self, name: str, args: LagScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:autoscaling:LagScaling", name, None, opts)
        assert args.keda is not None, "whoever scales by lag declares Keda"
        apiextensions.CustomResource(
            f"{name}-autoscaler",
            api_version=API_VERSION,
            kind="ScaledObject",
            metadata=k.metadata(args.target, args.namespace, args.labels),
            spec=_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.keda]),
        )
        self.register_outputs({})


def _spec(args: LagScalingArgs) -> dict[str, Any]:
    replicas = args.replicas
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": args.kind, "name": args.target},
        "minReplicaCount": replicas.minimum,
        "maxReplicaCount": replicas.maximum,
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "name": args.target,
                "behavior": {
                    "scaleUp": {"stabilizationWindowSeconds": SETTLE_SECONDS},
                    "scaleDown": {
                        "stabilizationWindowSeconds": replicas.cool_down_seconds,
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": STEP_SECONDS}],
                    },
                },
            }
        },
        "triggers": [
            {
                "type": "kafka",
                "metricType": "AverageValue",
                "metadata": {
                    "bootstrapServers": args.bootstrap_servers,
                    "consumerGroup": args.group,
                    "lagThreshold": str(round(replicas.target_lag_seconds * replicas.records_per_second)),
                    "offsetResetPolicy": "earliest",
                    "excludePersistentLag": "true",
                },
            },
            {
                "type": "cpu",
                "metricType": "AverageValue",
                "metadata": {"value": f"{replicas.target_millicores}m"},
            },
        ],
    }
