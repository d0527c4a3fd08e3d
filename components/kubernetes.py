"""What the pipeline's manifests share: labels, probes, resources, security, placement, the hash of what pods read."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apps, batch, core, meta, policy, rbac

from components.config import Memory

USER: Final = 10001
"""The user and group of the containers, Elasticsearch's apart; the images' files are readable by it."""

CONFIG_DIR: Final = "/etc/argus"
SECRETS_DIR: Final = "/etc/argus-secrets"
LOCAL_STORAGE_CLASS: Final = "argus-local"
VOLUME_LABEL: Final = "argus.dev/volume"
CONFIG_HASH: Final = "argus.dev/config-hash"
STATE_PRIORITY: Final = "argus-state"
HTTP_PORT: Final = 8080
REFUSED: Final = 2
"""The exit status of a task that will not succeed by being tried again."""

NODE_LOSS_SECONDS: Final = 5
"""A pod without local data leaves a dead node after this time, not after Kubernetes' five minutes.

A node is NotReady only after 20 s of silence. To leave one that comes back costs a restart and loses nothing.
"""

PROGRESS_SECONDS: Final = 1200
"""After this long without a new pod getting ready, a Deployment says that its update does not get on."""

READY: Final = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="20m", update="20m", delete="10m"))
"""For workloads: cold image pulls on a slow machine take minutes; a first start is not a failure before that."""

SWAP_SECONDS: Final = 360
SWAPPED: Final = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="20m", update="8m", delete="10m"))
"""For workloads whose old pod goes on until the new one is ready: a new one that fails says so sooner.

Pulumi's plugin waits for the whole time, whatever the pods say; its error then has what they and the Deployment said.
SWAP_SECONDS is less, so that the Deployment has said its own by then.
"""


def labels(name: str, component: str) -> dict[str, str]:
    """The recommended labels of one workload."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "argus",
    }


def metadata(
    name: pulumi.Input[str], namespace: pulumi.Input[str], labelled: Mapping[str, str]
) -> meta.v1.ObjectMetaArgs:
    """The metadata of a namespaced object with a fixed name."""
    return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=dict(labelled))


def config_hash(*contents: pulumi.Input[Mapping[str, Any]]) -> pulumi.Output[str]:
    """A hash of everything a pod reads; as an annotation of its template it rolls exactly the readers of a change."""
    return pulumi.Output.all(*contents).apply(digest)


def digest(content: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a JSON-like value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def lasting_config(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    data: Mapping[str, pulumi.Input[str]],
    *,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of a ConfigMap with this content, which follows from the content and never holds another.

    For pods that go on while their successors fail: one that is started again reads what it read before. So Pulumi
    does not delete the one of before either, which would be the one of now once a failed change is taken back; they
    go with their namespace.
    """
    named = config_hash(data).apply(lambda content: f"{name}-{content}")
    lasting = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
    made = core.v1.ConfigMap(
        resource, metadata=metadata(named, namespace, labelled), data=dict(data), immutable=True, opts=lasting
    )
    return made.metadata.name.apply(str)


def template_metadata(
    labelled: Mapping[str, str], *contents: pulumi.Input[Mapping[str, Any]]
) -> meta.v1.ObjectMetaArgs:
    """The metadata of a pod template that reads `contents`."""
    return meta.v1.ObjectMetaArgs(labels=dict(labelled), annotations={CONFIG_HASH: config_hash(*contents)})


def selector(labelled: Mapping[str, str]) -> meta.v1.LabelSelectorArgs:
    """Selects the pods that carry `labelled`."""
    return meta.v1.LabelSelectorArgs(match_labels=dict(labelled))


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


def container_security(*, read_only_root: bool = True) -> core.v1.SecurityContextArgs:
    """No privileges at all; the root file system is read-only unless the program insists on writing there."""
    return core.v1.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=read_only_root,
        capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
    )


def resources(*, cpu: str, memory_mib: int, limit_mib: int | None = None) -> core.v1.ResourceRequirementsArgs:
    """A CPU share without a ceiling (idle cores are for whoever has work) and a memory limit that is meant."""
    return core.v1.ResourceRequirementsArgs(
        requests={"cpu": cpu, "memory": f"{memory_mib}Mi"},
        limits={"memory": f"{limit_mib or memory_mib}Mi"},
    )


def resources_of(memory: Memory, *, cpu: str) -> core.v1.ResourceRequirementsArgs:
    """`resources` with the memory that the stack's configuration gives a stage."""
    return resources(cpu=cpu, memory_mib=memory.request_mib, limit_mib=memory.limit_mib)


def tcp_probe(port: int, *, period: int = 10, failures: int = 3) -> core.v1.ProbeArgs:
    """Something accepts connections on the port: the cheapest check there is."""
    return core.v1.ProbeArgs(
        tcp_socket=core.v1.TCPSocketActionArgs(port=port),
        period_seconds=period,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def http_probe(
    path: str = "/healthz",
    port: int = HTTP_PORT,
    *,
    period: int = 10,
    failures: int = 3,
    scheme: str | None = None,
) -> core.v1.ProbeArgs:
    """The path answers 2xx or 3xx."""
    return core.v1.ProbeArgs(
        http_get=core.v1.HTTPGetActionArgs(path=path, port=port, scheme=scheme),
        period_seconds=period,
        timeout_seconds=5,
        failure_threshold=failures,
    )


def container_ports(ports: Mapping[str, int]) -> list[core.v1.ContainerPortArgs]:
    """Named ports of a container."""
    return [
        core.v1.ContainerPortArgs(name=name, container_port=number, protocol="TCP") for name, number in ports.items()
    ]


def jvm_flags(heap_mib: int, *, share_of_mib: int | None = None) -> str:
    """Flags for a JVM of this heap (heap_flags): below 1 GiB the collector and compiler with the least overhead."""
    heap = f"{heap_flags(heap_mib, share_of_mib=share_of_mib)} -XX:+ExitOnOutOfMemoryError"
    small = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=64m -Xss512k"
    return f"{heap} {small}" if heap_mib < 1024 else heap


def heap_flags(heap_mib: int, *, share_of_mib: int | None = None) -> str:
    """A JVM's heap: this much, or the share that this is of `share_of_mib`, of whatever its container's limit is."""
    if share_of_mib is None:
        return f"-Xms{heap_mib}m -Xmx{heap_mib}m"
    share = f"{100 * heap_mib / share_of_mib:.2f}"
    return f"-XX:InitialRAMPercentage={share} -XX:MaxRAMPercentage={share}"


def config_volume(config_map: pulumi.Input[str], name: str = "config") -> core.v1.VolumeArgs:
    """A ConfigMap as files."""
    return core.v1.VolumeArgs(name=name, config_map=core.v1.ConfigMapVolumeSourceArgs(name=config_map))


def secret_volume(secret: pulumi.Input[str], name: str = "secrets") -> core.v1.VolumeArgs:
    """A Secret as files that only the pod's group reads."""
    return core.v1.VolumeArgs(name=name, secret=core.v1.SecretVolumeSourceArgs(secret_name=secret, default_mode=0o440))


def scratch_volume(name: str = "tmp", *, limit_mib: int | None = None) -> core.v1.VolumeArgs:
    """A directory that lives as long as the pod."""
    limit = f"{limit_mib}Mi" if limit_mib else None
    return core.v1.VolumeArgs(name=name, empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit=limit))


def mount(name: str, path: str, *, read_only: bool = False, sub_path: str | None = None) -> core.v1.VolumeMountArgs:
    """A volume in a container."""
    return core.v1.VolumeMountArgs(name=name, mount_path=path, read_only=read_only or None, sub_path=sub_path)


def env(name: str, value: pulumi.Input[str]) -> core.v1.EnvVarArgs:
    """A constant in the environment; what a user may change comes from a ConfigMap instead."""
    return core.v1.EnvVarArgs(name=name, value=value)


def env_field(name: str, path: str) -> core.v1.EnvVarArgs:
    """A field of the pod itself in the environment."""
    return core.v1.EnvVarArgs(
        name=name,
        value_from=core.v1.EnvVarSourceArgs(field_ref=core.v1.ObjectFieldSelectorArgs(field_path=path)),
    )


def env_from(config_map: pulumi.Input[str]) -> list[core.v1.EnvFromSourceArgs]:
    """Every key of a ConfigMap in the environment."""
    return [core.v1.EnvFromSourceArgs(config_map_ref=core.v1.ConfigMapEnvSourceArgs(name=config_map))]


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


def claim(service: str, size_gib: int, storage_class: str | None) -> core.v1.PersistentVolumeClaimArgs:
    """The claim named `data` of a stateful service: a volume made for it on a node, or one of the user's own class."""
    local = storage_class is None
    return core.v1.PersistentVolumeClaimArgs(
        metadata=meta.v1.ObjectMetaArgs(name="data", labels=labels(service, "data")),
        spec=core.v1.PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            storage_class_name=storage_class or LOCAL_STORAGE_CLASS,
            selector=selector({VOLUME_LABEL: service}) if local else None,
            resources=core.v1.VolumeResourceRequirementsArgs(requests={"storage": f"{size_gib}Gi"}),
        ),
    )


def headless_service(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    ports: Mapping[str, int],
    opts: pulumi.ResourceOptions,
) -> core.v1.Service:
    """A name for each pod, resolvable before the pod is ready: members must find each other to become ready."""
    return core.v1.Service(
        resource,
        metadata=_at_once(metadata(name, namespace, labelled)),
        spec=core.v1.ServiceSpecArgs(
            cluster_ip="None",
            publish_not_ready_addresses=True,
            selector=dict(labelled),
            ports=_ports(ports),
        ),
        opts=opts,
    )


def service(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    ports: Mapping[str, int],
    opts: pulumi.ResourceOptions,
    node_port: int | None = None,
) -> core.v1.Service:
    """One stable address for the ready pods; with `node_port`, also on every node."""
    return core.v1.Service(
        resource,
        metadata=_at_once(metadata(name, namespace, labelled)),
        spec=core.v1.ServiceSpecArgs(
            type="NodePort" if node_port else "ClusterIP",
            selector=dict(labelled),
            ports=_ports(ports, node_port),
        ),
        opts=opts,
    )


def _ports(ports: Mapping[str, int], node_port: int | None = None) -> list[core.v1.ServicePortArgs]:
    return [
        core.v1.ServicePortArgs(name=name, port=number, target_port=number, protocol="TCP", node_port=node_port)
        for name, number in ports.items()
    ]


def _at_once(described: meta.v1.ObjectMetaArgs) -> meta.v1.ObjectMetaArgs:
    """A service is ready without endpoints: it is the workload that Pulumi waits for."""
    described.annotations = {"pulumi.com/skipAwait": "true"}
    return described


def _ours(described: meta.v1.ObjectMetaArgs) -> meta.v1.ObjectMetaArgs:
    """What the stack says holds, whoever changed it since: an autoscaler that is no more, or `kubectl scale`."""
    described.annotations = {"pulumi.com/patchForce": "true"}
    return described


def disruption_budget(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    opts: pulumi.ResourceOptions,
) -> policy.v1.PodDisruptionBudget:
    """A drain takes one pod at a time; one that is broken already does not block it."""
    return policy.v1.PodDisruptionBudget(
        resource,
        metadata=metadata(name, namespace, labelled),
        spec=policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1,
            selector=selector(labelled),
            unhealthy_pod_eviction_policy="AlwaysAllow",
        ),
        opts=opts,
    )


def service_account(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    rules: Sequence[rbac.v1.PolicyRuleArgs],
    *,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of an account that may do what the rules say in its namespace; known once it has these rights."""
    described = metadata(name, namespace, labelled)
    account = core.v1.ServiceAccount(f"{resource}-account", metadata=described, opts=opts)
    role = rbac.v1.Role(f"{resource}-role", metadata=described, rules=list(rules), opts=opts)
    binding = rbac.v1.RoleBinding(
        f"{resource}-binding",
        metadata=described,
        role_ref=rbac.v1.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name),
        subjects=[rbac.v1.SubjectArgs(kind="ServiceAccount", name=account.metadata.name, namespace=namespace)],
        opts=opts,
    )
    return pulumi.Output.all(account.metadata.name, binding.metadata.name).apply(lambda names: str(names[0]))


def pod_dns(pod: str, service: str, namespace: str) -> str:
    """The full name of a StatefulSet's pod: five dots, so the resolver asks for it before any search domain."""
    return f"{pod}.{service}.{namespace}.svc.cluster.local"


def stateful_set(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    service: pulumi.Input[str],
    replicas: int | None,
    data: core.v1.PersistentVolumeClaimArgs,
    template: core.v1.PodTemplateSpecArgs,
    opts: pulumi.ResourceOptions,
    settle_seconds: int = 0,
) -> apps.v1.StatefulSet:
    """Members that start together, for a quorum needs several, and are updated one by one; `replicas` is None where an
    autoscaler says how many."""
    return apps.v1.StatefulSet(
        resource,
        metadata=_ours(metadata(name, namespace, labelled)),
        spec=apps.v1.StatefulSetSpecArgs(
            service_name=service,
            replicas=replicas,
            pod_management_policy="Parallel",
            min_ready_seconds=settle_seconds or None,
            selector=selector(labelled),
            # Data goes with the service, not with a smaller replica count.
            persistent_volume_claim_retention_policy=apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                when_deleted="Delete", when_scaled="Retain"
            ),
            volume_claim_templates=[data],
            template=template,
        ),
        opts=pulumi.ResourceOptions.merge(opts, READY),
    )


def deployment(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    replicas: int | None,
    template: core.v1.PodTemplateSpecArgs,
    opts: pulumi.ResourceOptions,
    recreate: bool = False,
    swap: bool = False,
) -> apps.v1.Deployment:
    """Interchangeable pods, None where an autoscaler says how many; `recreate` where an old and a new one must not run
    at the same time, `swap` where the old one goes on until the new one is ready, and for good if it never is."""
    return apps.v1.Deployment(
        resource,
        metadata=_ours(metadata(name, namespace, labelled)),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=replicas,
            revision_history_limit=2,
            progress_deadline_seconds=SWAP_SECONDS if swap else PROGRESS_SECONDS,
            selector=selector(labelled),
            strategy=_strategy(recreate=recreate, swap=swap),
            template=template,
        ),
        opts=pulumi.ResourceOptions.merge(opts, SWAPPED if swap else READY),
    )


def _strategy(*, recreate: bool, swap: bool) -> apps.v1.DeploymentStrategyArgs | None:
    if recreate:
        return apps.v1.DeploymentStrategyArgs(type="Recreate")
    if swap:
        rolling = apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0)
        return apps.v1.DeploymentStrategyArgs(type="RollingUpdate", rolling_update=rolling)
    return None


def job(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    *,
    container: core.v1.ContainerArgs,
    volumes: Sequence[core.v1.VolumeArgs],
    opts: pulumi.ResourceOptions,
) -> batch.v1.Job:
    """A task that runs once. It is kept afterwards: a vanished Job would look like a change.

    It is tried again, unless it exits with REFUSED.
    """
    refused = batch.v1.PodFailurePolicyRuleArgs(
        action="FailJob",
        on_exit_codes=batch.v1.PodFailurePolicyOnExitCodesRequirementArgs(operator="In", values=[REFUSED]),
    )
    return batch.v1.Job(
        resource,
        metadata=metadata(name, namespace, labelled),
        spec=batch.v1.JobSpecArgs(
            backoff_limit=6,
            pod_failure_policy=batch.v1.PodFailurePolicyArgs(rules=[refused]),
            template=task_template(labelled, container, volumes),
        ),
        opts=pulumi.ResourceOptions.merge(opts, READY),
    )


def task_template(
    labelled: Mapping[str, str], container: core.v1.ContainerArgs, volumes: Sequence[core.v1.VolumeArgs]
) -> core.v1.PodTemplateSpecArgs:
    """The pod of a task: it runs to its end. What it said last is kept in its status."""
    container.termination_message_policy = "FallbackToLogsOnError"
    spec = stateless_pod(labelled, container, volumes, grace_seconds=10)
    spec.restart_policy = "Never"
    return core.v1.PodTemplateSpecArgs(metadata=meta.v1.ObjectMetaArgs(labels=dict(labelled)), spec=spec)
