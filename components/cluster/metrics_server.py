"""CPU and memory of pods and nodes, for `kubectl top` and for autoscaling."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_kubernetes import apiregistration, apps, core, meta, rbac

from components import kubernetes as k
from components import versions
from components.cluster.args import ClusterArgs

_NAME: Final = "metrics-server"
_NAMESPACE: Final = "kube-system"
_LABELS: Final = {"k8s-app": _NAME}
_PORT: Final = 10250
_CA: Final = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
"""The cluster's CA, which Kubernetes gives every pod that has a service account's token."""


class MetricsServer(pulumi.ComponentResource):
    """metrics-server and its RBAC permissions. It starts after every kubelet has a certificate of the cluster's CA."""

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        *,
        provider: pulumi.ProviderResource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("argus:cluster:MetricsServer", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        account = core.v1.ServiceAccount(f"{name}-account", metadata=_metadata(_NAME), opts=child)
        self._permissions(name, child)
        service = core.v1.Service(
            f"{name}-service",
            metadata=_metadata(_NAME),
            spec=core.v1.ServiceSpecArgs(
                selector=_LABELS,
                ports=[core.v1.ServicePortArgs(name="https", port=443, target_port="https", protocol="TCP")],
            ),
            opts=child,
        )
        image = f"{args.cluster.image_repository}/metrics-server/metrics-server:{versions.METRICS_SERVER}"
        deployment = apps.v1.Deployment(
            f"{name}-deployment",
            metadata=_metadata(_NAME),
            spec=apps.v1.DeploymentSpecArgs(
                replicas=1,
                selector=meta.v1.LabelSelectorArgs(match_labels=_LABELS),
                template=core.v1.PodTemplateSpecArgs(metadata=meta.v1.ObjectMetaArgs(labels=_LABELS), spec=_pod(image)),
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[account])),
        )
        apiregistration.v1.APIService(
            f"{name}-api",
            metadata=meta.v1.ObjectMetaArgs(name="v1beta1.metrics.k8s.io", labels=_LABELS),
            spec=apiregistration.v1.APIServiceSpecArgs(
                group="metrics.k8s.io",
                version="v1beta1",
                group_priority_minimum=100,
                version_priority=100,
                insecure_skip_tls_verify=True,
                service=apiregistration.v1.ServiceReferenceArgs(name=_NAME, namespace=_NAMESPACE),
            ),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[service, deployment])),
        )
        self.register_outputs({})

    def _permissions(self, name: str, child: pulumi.ResourceOptions) -> None:
        rules = {
            "system:aggregated-metrics-reader": [
                rbac.v1.PolicyRuleArgs(
                    api_groups=["metrics.k8s.io"], resources=["pods", "nodes"], verbs=["get", "list", "watch"]
                )
            ],
            "system:metrics-server": [
                rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["nodes/metrics"], verbs=["get"]),
                rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods", "nodes"], verbs=["get", "list", "watch"]),
            ],
        }
        aggregated = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
        for role, role_rules in rules.items():
            labels = _LABELS | (aggregated if role == "system:aggregated-metrics-reader" else {})
            rbac.v1.ClusterRole(
                f"{name}-{role.removeprefix('system:')}-role",
                metadata=meta.v1.ObjectMetaArgs(name=role, labels=labels),
                rules=role_rules,
                opts=child,
            )
        subject = k.account_subject(_NAME, _NAMESPACE)
        for binding, role in (
            ("metrics-server:system:auth-delegator", "system:auth-delegator"),
            ("system:metrics-server", "system:metrics-server"),
        ):
            k.cluster_binding(
                f"{name}-{role.removeprefix('system:')}-binding",
                binding,
                _LABELS,
                role=role,
                subject=subject,
                opts=child,
            )
        rbac.v1.RoleBinding(
            f"{name}-auth-reader-binding",
            metadata=_metadata("metrics-server-auth-reader"),
            role_ref=k.role_ref("Role", "extension-apiserver-authentication-reader"),
            subjects=[subject],
            opts=child,
        )


def _pod(image: str) -> core.v1.PodSpecArgs:
    def probe(path: str, failures: int) -> core.v1.ProbeArgs:
        return core.v1.ProbeArgs(
            http_get=core.v1.HTTPGetActionArgs(path=path, port="https", scheme="HTTPS"),
            period_seconds=10,
            failure_threshold=failures,
        )

    return core.v1.PodSpecArgs(
        service_account_name=_NAME,
        priority_class_name="system-cluster-critical",
        containers=[
            core.v1.ContainerArgs(
                name=_NAME,
                image=image,
                args=[
                    "--cert-dir=/tmp",
                    f"--secure-port={_PORT}",
                    "--kubelet-preferred-address-types=InternalIP",
                    f"--kubelet-certificate-authority={_CA}",
                    "--metric-resolution=15s",
                ],
                ports=[core.v1.ContainerPortArgs(name="https", container_port=_PORT, protocol="TCP")],
                readiness_probe=probe("/readyz", 3),
                liveness_probe=probe("/livez", 6),
                resources=core.v1.ResourceRequirementsArgs(
                    requests={"cpu": "20m", "memory": "48Mi"}, limits={"memory": "200Mi"}
                ),
                security_context=core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    run_as_non_root=True,
                    run_as_user=1000,
                    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
                    seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
                ),
                volume_mounts=[core.v1.VolumeMountArgs(name="tmp", mount_path="/tmp")],
            )
        ],
        volumes=[core.v1.VolumeArgs(name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs())],
    )


def _metadata(name: str) -> meta.v1.ObjectMetaArgs:
    return meta.v1.ObjectMetaArgs(name=name, namespace=_NAMESPACE, labels=_LABELS)
