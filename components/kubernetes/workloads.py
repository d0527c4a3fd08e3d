"""Workloads: StatefulSets, Deployments and Jobs, and their disruption budgets."""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_kubernetes import apps, batch, core, policy

from components.kubernetes.configuration import Contents, template_metadata
from components.kubernetes.names import Workload, selector
from components.kubernetes.pods import USER, stateful_pod, stateless_pod, task_template

OURS: Final = {"pulumi.com/patchForce": "true"}
"""The annotation by which the stack's values override later changes by others, such as a removed autoscaler or
`kubectl scale`."""

REFUSED: Final = 2
"""The exit status of a task for which a retry is useless."""

PROGRESS_SECONDS: Final = 1200
"""A Deployment reports that its update is stuck after this long without a new ready pod."""

KEPT: Final = pulumi.ResourceOptions(ignore_changes=["spec.volumeClaimTemplates"])
"""A StatefulSet's claims cannot be changed. Without this, another size would replace the set, and delete its data."""

READY: Final = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="20m", update="20m", delete="10m"))
"""Timeouts for workloads: pulling images for the first time takes minutes on a slow machine."""

SWAP_SECONDS: Final = 360
SWAPPED: Final = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="20m", update="8m", delete="10m"))
"""Timeouts for workloads whose old pod works until the new one is ready: a failing new pod is reported sooner.

Pulumi's plugin always waits for the whole time, and its error then includes the messages of pods and Deployment.
SWAP_SECONDS is less, so that the Deployment has reported its failure by then.
"""


def stateful_set(
    resource: str,
    workload: Workload,
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs],
    *,
    contents: Contents,
    service: pulumi.Input[str],
    replicas: int | None,
    data: core.v1.PersistentVolumeClaimArgs,
    grace_seconds: int,
    settle_seconds: int = 0,
    user: int = USER,
    beside: Sequence[core.v1.ContainerArgs] = (),
) -> apps.v1.StatefulSet:
    """Members that start together, because a quorum needs several, and are updated one at a time. `replicas` is None
    where an autoscaler sets the number. The containers `beside` run in each member's pod too."""
    pod = stateful_pod(workload.labels, container, volumes, grace_seconds=grace_seconds, user=user)
    pod.containers = [container, *beside]
    return apps.v1.StatefulSet(
        resource,
        metadata=workload.metadata(OURS),
        spec=apps.v1.StatefulSetSpecArgs(
            service_name=service,
            replicas=replicas,
            pod_management_policy="Parallel",
            min_ready_seconds=settle_seconds or None,
            selector=selector(workload.labels),
            # Data is deleted with the service, but kept when the number of replicas shrinks.
            persistent_volume_claim_retention_policy=apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                when_deleted="Delete", when_scaled="Retain"
            ),
            volume_claim_templates=[data],
            template=core.v1.PodTemplateSpecArgs(metadata=template_metadata(workload.labels, contents), spec=pod),
        ),
        opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions.merge(workload.opts, READY), KEPT),
    )


def deployment(
    resource: str,
    workload: Workload,
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs],
    *,
    grace_seconds: int,
    contents: Contents = (),
    replicas: int | None = 1,
    service_account: pulumi.Input[str] | None = None,
    first: Sequence[core.v1.ContainerArgs] | None = None,
    after: Sequence[pulumi.Resource] = (),
    beside: Sequence[core.v1.ContainerArgs] = (),
    recreate: bool = False,
    swap: bool = False,
) -> apps.v1.Deployment:
    """Interchangeable pods; `replicas` is None where an autoscaler sets the number. They start after the resources
    `after`; in a pod the containers `first` run before the other, and those `beside` with it. With `recreate`, old and
    new pods never run at the same time; with `swap`, the old pod works until the new one is ready, or forever if it
    fails."""
    pod = stateless_pod(
        workload.labels, container, volumes, grace_seconds=grace_seconds, service_account=service_account
    )
    pod.init_containers = first
    pod.containers = [container, *beside]
    timeouts = SWAPPED if swap else READY
    return apps.v1.Deployment(
        resource,
        metadata=workload.metadata(OURS),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=replicas,
            revision_history_limit=2,
            progress_deadline_seconds=SWAP_SECONDS if swap else PROGRESS_SECONDS,
            selector=selector(workload.labels),
            strategy=_strategy(recreate=recreate, swap=swap),
            template=core.v1.PodTemplateSpecArgs(metadata=template_metadata(workload.labels, contents), spec=pod),
        ),
        opts=pulumi.ResourceOptions.merge(
            pulumi.ResourceOptions.merge(workload.opts, timeouts), pulumi.ResourceOptions(depends_on=list(after))
        ),
    )


def job(
    resource: str, workload: Workload, container: core.v1.ContainerArgs, volumes: Sequence[core.v1.VolumeArgs]
) -> batch.v1.Job:
    """A task that runs once. The Job is kept afterwards, because Pulumi would recreate a deleted one.

    It is retried, unless it exits with REFUSED.
    """
    refused = batch.v1.PodFailurePolicyRuleArgs(
        action="FailJob",
        on_exit_codes=batch.v1.PodFailurePolicyOnExitCodesRequirementArgs(operator="In", values=[REFUSED]),
    )
    return batch.v1.Job(
        resource,
        metadata=workload.metadata(),
        spec=batch.v1.JobSpecArgs(
            backoff_limit=6,
            pod_failure_policy=batch.v1.PodFailurePolicyArgs(rules=[refused]),
            template=task_template(workload.labels, container, volumes),
        ),
        opts=pulumi.ResourceOptions.merge(workload.opts, READY),
    )


def cron_job(
    resource: str,
    workload: Workload,
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs] = (),
    *,
    schedule: str,
    retries: int,
    longest_seconds: int | None = None,
) -> batch.v1.CronJob:
    """A task that runs again and again, one run at a time, each with so many retries and for this long at most."""
    return batch.v1.CronJob(
        resource,
        metadata=workload.metadata(),
        spec=batch.v1.CronJobSpecArgs(
            schedule=schedule,
            concurrency_policy="Forbid",
            successful_jobs_history_limit=1,
            failed_jobs_history_limit=1,
            job_template=batch.v1.JobTemplateSpecArgs(
                spec=batch.v1.JobSpecArgs(
                    backoff_limit=retries,
                    active_deadline_seconds=longest_seconds,
                    template=task_template(workload.labels, container, volumes),
                )
            ),
        ),
        opts=workload.opts,
    )


def disruption_budget(resource: str, workload: Workload) -> policy.v1.PodDisruptionBudget:
    """A drain evicts one pod at a time; a pod that is already unhealthy does not block it."""
    return policy.v1.PodDisruptionBudget(
        resource,
        metadata=workload.metadata(),
        spec=policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1,
            selector=selector(workload.labels),
            unhealthy_pod_eviction_policy="AlwaysAllow",
        ),
        opts=workload.opts,
    )


def _strategy(*, recreate: bool, swap: bool) -> apps.v1.DeploymentStrategyArgs | None:
    if recreate:
        return apps.v1.DeploymentStrategyArgs(type="Recreate")
    if swap:
        rolling = apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0)
        return apps.v1.DeploymentStrategyArgs(type="RollingUpdate", rolling_update=rolling)
    return None
