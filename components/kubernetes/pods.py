"""Pods: their user, where they may run, and when they leave a dead node."""

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta

from components.kubernetes.names import selector

USER: Final = 10001
"""The user and group of the containers, Elasticsearch's apart; the images' files are readable by it."""

STATE_PRIORITY: Final = "argus-state"
NODE_LOSS_SECONDS: Final = 5
"""A pod without local data leaves a dead node after this time, not after Kubernetes' five minutes.

A node is NotReady only after 20 s of silence. To leave one that comes back costs a restart and loses nothing.
"""


def pod_security(user: int = USER) -> core.v1.PodSecurityContextArgs:
    """Non-root, with volumes that its group may write."""
    return core.v1.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
    )


def apart(labelled: Mapping[str, str]) -> core.v1.AffinityArgs:
    """Never two of these pods on one node: each holds a copy of the data."""
    return core.v1.AffinityArgs(
        pod_anti_affinity=core.v1.PodAntiAffinityArgs(
            required_during_scheduling_ignored_during_execution=[
                core.v1.PodAffinityTermArgs(label_selector=selector(labelled), topology_key="kubernetes.io/hostname")
            ]
        )
    )


def spread(labelled: Mapping[str, str]) -> list[core.v1.TopologySpreadConstraintArgs]:
    """These pods over the nodes as evenly as possible, but rather crowded than pending."""
    return [
        core.v1.TopologySpreadConstraintArgs(
            label_selector=selector(labelled),
            max_skew=1,
            topology_key="kubernetes.io/hostname",
            when_unsatisfiable="ScheduleAnyway",
        )
    ]


def leave_dead_nodes() -> list[core.v1.TolerationArgs]:
    """Leave an unreachable node quickly; for pods whose data is elsewhere."""
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
    """A pod that stays by its data: never beside its like, and not chased off a node that may come back."""
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
    """A pod that can run on any node; only one with a service account of its own may talk to the API."""
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
    """The pod of a task: it runs to its end. What it said last is kept in its status."""
    container.termination_message_policy = "FallbackToLogsOnError"
    spec = stateless_pod(labelled, container, volumes, grace_seconds=10)
    spec.restart_policy = "Never"
    return core.v1.PodTemplateSpecArgs(metadata=meta.v1.ObjectMetaArgs(labels=dict(labelled)), spec=spec)
