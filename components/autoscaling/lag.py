"""Scales the number of pods by their consumer lag in Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apiextensions, meta

from components import kubernetes as k
from components.autoscaling.keda import API_VERSION, Keda
from components.config.sections import LagReplicas

SETTLE_SECONDS: Final = 30
"""Add pods only after they were needed this long (two checks of the autoscaler), so that short bursts do not count."""

STEP_SECONDS: Final = 60
"""Remove one pod at a time, so that the group can rebalance its partitions before the next one."""

_AUTHENTICATION: Final = "ClusterTriggerAuthentication"


@dataclass(frozen=True, kw_only=True)
class KafkaIdentity:
    """The certificate that KEDA shows to brokers."""

    secret: pulumi.Input[str]
    """The name of its Secret, in KEDA's namespace."""
    authority: str
    """The Secret's key with the certificate of the authority that signed the brokers'."""
    pair: str
    """The Secret's key with the private key and its certificate."""


@dataclass(frozen=True, kw_only=True)
class LagScalingArgs:
    """Arguments of LagScaling; the workload is of this kind and must not set `replicas`."""

    keda: Keda | None
    workload: k.Workload
    kind: str
    bootstrap_servers: pulumi.Input[str]
    group: str
    """The consumer group of the pods; the lag is the sum over all its topics."""
    replicas: LagReplicas
    identity: KafkaIdentity | None = None
    """None: KEDA connects in plain."""


class LagScaling(pulumi.ComponentResource):
    """A ScaledObject for the pods of one consumer group; besides Keda it needs metrics-server.

    There are enough pods to process the lag within the target time. By lag alone, pods would be removed as soon as they
    keep up and be added again soon after; so their CPU use keeps them while fewer pods would be overloaded.
    A partition whose committed offset does not move is ignored, because more pods would not help: a message that
    crashes its reader adds no pods.
    """

    def __init__(self, name: str, args: LagScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:autoscaling:LagScaling", name, None, opts)
        assert args.keda is not None, "scaling by lag needs Keda"
        needed: list[pulumi.Resource] = [args.keda]
        if args.identity is not None:
            needed.append(self._authentication(name, args, args.keda, args.identity))
        apiextensions.CustomResource(
            f"{name}-autoscaler",
            api_version=API_VERSION,
            kind="ScaledObject",
            metadata=args.workload.metadata(),
            spec=_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=needed),
        )
        self.register_outputs({})

    def _authentication(
        self, name: str, args: LagScalingArgs, keda: Keda, identity: KafkaIdentity
    ) -> pulumi.CustomResource:
        """An object of no namespace: for those KEDA reads Secrets in its own."""
        files = {"ca": identity.authority, "cert": identity.pair, "key": identity.pair}
        return apiextensions.CustomResource(
            f"{name}-authentication",
            api_version=API_VERSION,
            kind=_AUTHENTICATION,
            metadata=meta.v1.ObjectMetaArgs(name=_name_of_authentication(args), labels=dict(args.workload.labels)),
            spec={
                "secretTargetRef": [
                    {"parameter": parameter, "name": identity.secret, "key": file} for parameter, file in files.items()
                ]
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[keda]),
        )


def _name_of_authentication(args: LagScalingArgs) -> pulumi.Output[str]:
    return pulumi.Output.format("argus-{0}", args.workload.name)


def _spec(args: LagScalingArgs) -> dict[str, Any]:
    replicas = args.replicas
    known_by = {"authenticationRef": {"kind": _AUTHENTICATION, "name": _name_of_authentication(args)}}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": args.kind, "name": args.workload.name},
        "minReplicaCount": replicas.minimum,
        "maxReplicaCount": replicas.maximum,
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "name": args.workload.name,
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
                    **({} if args.identity is None else {"tls": "enable"}),
                },
                **({} if args.identity is None else known_by),
            },
            {
                "type": "cpu",
                "metricType": "AverageValue",
                "metadata": {"value": f"{replicas.target_millicores}m"},
            },
        ],
    }
