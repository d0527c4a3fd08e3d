"""Pods: their user, where they may run, and when they leave a dead node."""

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta

from components.kubernetes.names import selector

USER: Final = 10001
"""User and group ID of all containers except Elasticsearch's; it can read the images' files."""

STATE_PRIORITY: Final = "argus-state"
NODE_LOSS_SECONDS: Final = 5
"""A pod without local data is evicted from a dead node after this time; Kubernetes' default is five minutes.

A node is NotReady only after 20 s without contact. If it comes back, the eviction has cost a restart, but no data.
"""


def pod_security(user: int = USER) -> core.v1.PodSecurityContextArgs:
    """A non-root user, and volumes that its group may write."""
    return core.v1.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )


def apart(labelled: Mapping[str, str]) -> core.v1.AffinityArgs:
    """Never run two of these pods on one node, because each holds a copy of the data."""
    return core.v1.AffinityArgs(
        pod_anti_affinity=core.v1.PodAntiAffinityArgs(
            required_during_scheduling_ignored_during_execution=[
                core.v1.PodAffinityTermArgs(label_selector=selector(labelled), topology_key="kubernetes.io/hostname")
            ]
        )
    )


def spread(labelled: Mapping[str, str]) -> list[core.v1.TopologySpreadConstraintArgs]:
    """Spread these pods over the nodes as evenly as possible, but never leave one pending for that."""
    return [
        core.v1.TopologySpreadConstraintArgs(
            label_selector=selector(labelled),
            max_skew=1,
            topology_key="kubernetes.io/hostname",
            when_unsatisfiable="ScheduleAnyway",
        )
    ]


def leave_dead_nodes() -> list[core.v1.TolerationArgs]:
    """Tolerations that evict a pod from a dead node quickly; for pods without local data."""
    return [
        core.v1.TolerationArgs(
            key=f"node.kubernetes.io/{condition}",
            operator="Exists",
            effect="NoExecute",
            toleration_seconds=NODE_LOSS_SECONDS,
        )
        for condition in ("not-ready", "unreachable")
    ]


def stateful_pod(
    labelled: Mapping[str, str],
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs],
    *,
    grace_seconds: int,
    user: int = USER,
) -> core.v1.PodSpecArgs:
    """A pod that stays with its data: one per node, and not evicted quickly from a node that may come back."""
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        priority_class_name=STATE_PRIORITY,
        security_context=pod_security(user),
        affinity=apart(labelled),
        termination_grace_period_seconds=grace_seconds,
        containers=[container],
        volumes=list(volumes),
    )


def stateless_pod(
    labelled: Mapping[str, str],
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs],
    *,
    grace_seconds: int,
    service_account: pulumi.Input[str] | None = None,
) -> core.v1.PodSpecArgs:
    """A pod that can run on any node; it has access to the Kubernetes API only with a `service_account`."""
    return core.v1.PodSpecArgs(
        automount_service_account_token=service_account is not None,
        service_account_name=service_account,
        enable_service_links=False,
        security_context=pod_security(),
        topology_spread_constraints=spread(labelled),
        tolerations=leave_dead_nodes(),
        termination_grace_period_seconds=grace_seconds,
        containers=[container],
        volumes=list(volumes),
    )


def task_template(
    labelled: Mapping[str, str], container: core.v1.ContainerArgs, volumes: Sequence[core.v1.VolumeArgs]
) -> core.v1.PodTemplateSpecArgs:
    """The pod template of a task that runs once; its status keeps the end of its log if it fails."""
    container.termination_message_policy = "FallbackToLogsOnError"
    spec = stateless_pod(labelled, container, volumes, grace_seconds=10)
    spec.restart_policy = "Never"
    return core.v1.PodTemplateSpecArgs(metadata=meta.v1.ObjectMetaArgs(labels=dict(labelled)), spec=spec)
