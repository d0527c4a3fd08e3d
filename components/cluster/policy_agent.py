"""The program that enforces network policies beside Argus's own pod network, on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import apps, core, meta, rbac

from components import kubernetes as k
from components.config import Cluster
from components.images import Image

IMAGE: Final = Image(name="network-policies")
NAME: Final = "network-policies"
NAMESPACE: Final = "kube-system"
HEALTH_PORT: Final = 10246
"""On each machine's loopback address alone."""
FOLDER: Final = "/var/lib/argus/network-policies"
"""On each machine; network.sh makes it, and the program keeps its rules there for the machine's next start."""

_LABELS: Final = {"k8s-app": NAME}
_GRACE_SECONDS: Final = 20
"""The program asks for 10 s whether it ends for good."""


@dataclass(frozen=True, kw_only=True)
class PolicyAgentArgs:
    """Arguments of PolicyAgent."""

    image: pulumi.Input[str]
    cluster: Cluster


class PolicyAgent(pulumi.ComponentResource):
    """A pod on every machine that judges each new connection of that machine's pods.

    A machine's rules exist once its pod is ready. While the pod is away, new connections of that machine's pods are
    refused, and others go on; where the DaemonSet is deleted, its pods take their rules along.
    An update does not wait for it, so that a dead machine holds up nobody.
    """

    def __init__(self, name: str, args: PolicyAgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:PolicyAgent", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = core.v1.ServiceAccount(f"{name}-account", metadata=_metadata(NAME, NAMESPACE), opts=child)
        subject = k.account_subject(account.metadata.name, NAMESPACE)
        role = rbac.v1.ClusterRole(
            f"{name}-role",
            metadata=_metadata(f"argus:{NAME}"),
            rules=[
                _may("", ["pods", "namespaces", "nodes"], ["list", "watch"]),
                _may("networking.k8s.io", ["networkpolicies"], ["list", "watch"]),
            ],
            opts=child,
        )
        own_role = rbac.v1.Role(
            f"{name}-own-role",
            metadata=_metadata(NAME, NAMESPACE),
            rules=[_may("apps", ["daemonsets"], ["get"], named=[NAME])],
            opts=child,
        )
        bindings: list[pulumi.Resource] = [
            k.cluster_binding(
                f"{name}-binding",
                f"argus:{NAME}",
                _LABELS,
                role=role.metadata.name,
                subject=subject,
                opts=child,
            ),
            rbac.v1.RoleBinding(
                f"{name}-own-binding",
                metadata=_metadata(NAME, NAMESPACE),
                role_ref=k.role_ref("Role", own_role.metadata.name),
                subjects=[subject],
                opts=child,
            ),
        ]
        apps.v1.DaemonSet(
            f"{name}-pods",
            metadata=meta.v1.ObjectMetaArgs(name=NAME, namespace=NAMESPACE, labels=_LABELS, annotations=k.AT_ONCE),
            spec=apps.v1.DaemonSetSpecArgs(
                selector=k.selector(_LABELS),
                revision_history_limit=1,
                template=core.v1.PodTemplateSpecArgs(
                    metadata=meta.v1.ObjectMetaArgs(labels=_LABELS), spec=_pod(args, account.metadata.name)
                ),
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=bindings)),
        )
        self.register_outputs({})


def _pod(args: PolicyAgentArgs, account: pulumi.Input[str]) -> core.v1.PodSpecArgs:
    def probe(failures: int) -> core.v1.ProbeArgs:
        return core.v1.ProbeArgs(
            http_get=core.v1.HTTPGetActionArgs(host="127.0.0.1", path="/healthz", port=HEALTH_PORT),
            period_seconds=10,
            timeout_seconds=5,
            failure_threshold=failures,
        )

    return core.v1.PodSpecArgs(
        service_account_name=account,
        enable_service_links=False,
        host_network=True,
        dns_policy="Default",
        priority_class_name="system-node-critical",
        tolerations=[core.v1.TolerationArgs(operator="Exists")],
        termination_grace_period_seconds=_GRACE_SECONDS,
        containers=[
            core.v1.ContainerArgs(
                name=NAME,
                image=args.image,
                args=[
                    "-node=$(NODE)",
                    f"-pods={args.cluster.pod_network}",
                    f"-folder={FOLDER}",
                    f"-health=127.0.0.1:{HEALTH_PORT}",
                    f"-daemonset={NAMESPACE}/{NAME}",
                ],
                env=[
                    core.v1.EnvVarArgs(
                        name="NODE",
                        value_from=core.v1.EnvVarSourceArgs(
                            field_ref=core.v1.ObjectFieldSelectorArgs(field_path="spec.nodeName")
                        ),
                    )
                ],
                readiness_probe=probe(2),
                liveness_probe=probe(6),
                # A connection's first packet waits for it, so its share of the CPU must not be the smallest.
                resources=core.v1.ResourceRequirementsArgs(
                    requests={"cpu": "20m", "memory": "48Mi"}, limits={"memory": "200Mi"}
                ),
                security_context=core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    run_as_user=0,
                    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"], add=["NET_ADMIN"]),
                    seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
                ),
                volume_mounts=[core.v1.VolumeMountArgs(name="rules", mount_path=FOLDER)],
            )
        ],
        volumes=[
            core.v1.VolumeArgs(name="rules", host_path=core.v1.HostPathVolumeSourceArgs(path=FOLDER, type="Directory"))
        ],
    )


def _may(
    group: str, resources: list[str], verbs: list[str], *, named: list[str] | None = None
) -> rbac.v1.PolicyRuleArgs:
    return rbac.v1.PolicyRuleArgs(api_groups=[group], resources=resources, resource_names=named, verbs=verbs)


def _metadata(name: str, namespace: str | None = None) -> meta.v1.ObjectMetaArgs:
    return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=_LABELS)
