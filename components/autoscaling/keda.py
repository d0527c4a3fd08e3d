"""KEDA, which scales the number of pods by consumer lag in Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pulumi
from pulumi_kubernetes import apiregistration, core, meta, rbac

from components import kubernetes as k
from components import versions
from components.autoscaling.definitions import ALONE, CHANGE, OWN, READ, Kind, define, rule, watcher

NAMESPACE: Final = "argus-keda"
OPERATOR_LABELS: Final = k.labels("keda-operator", "autoscaling")
ADAPTER_LABELS: Final = k.labels("keda-metrics-apiserver", "autoscaling")
METRICS_PORT: Final = 9666
"""The operator's port, where the adapter reads metrics."""
ADAPTER_PORT: Final = 7443
"""The adapter's port, for the API server. It differs from the API server's port, which some pods may reach anywhere."""

API_VERSION: Final = "keda.sh/v1alpha1"

_OPERATOR: Final = "keda-operator"
_ADAPTER: Final = "keda-metrics-apiserver"
_CLUSTER_ROLE: Final = "keda"
_CERTIFICATES: Final = "kedaorg-certs"
_CERTIFICATES_DIR: Final = "/certs"
_PROBE_PORT: Final = 8081
_METRICS_API: Final = "v1beta1.external.metrics.k8s.io"

_SCALED_OBJECT: Final = Kind(
    "keda.sh",
    "ScaledObject",
    "v1alpha1",
    columns={
        "Target": ".spec.scaleTargetRef.name",
        "Ready": '.status.conditions[?(@.type=="Ready")].status',
        "Active": '.status.conditions[?(@.type=="Active")].status',
    },
)
_KINDS: Final = (
    _SCALED_OBJECT,
    Kind("keda.sh", "ScaledJob", "v1alpha1"),
    Kind("keda.sh", "TriggerAuthentication", "v1alpha1"),
    Kind("keda.sh", "ClusterTriggerAuthentication", "v1alpha1", namespaced=False),
    Kind("eventing.keda.sh", "CloudEventSource", "v1alpha1"),
    Kind("eventing.keda.sh", "ClusterCloudEventSource", "v1alpha1", namespaced=False),
)


@dataclass(frozen=True, kw_only=True)
class KedaArgs:
    """Arguments of Keda."""

    kubernetes_version: str
    watched: pulumi.Input[str]
    """The only namespace that KEDA watches; it runs in one of its own."""


class Keda(pulumi.ComponentResource):
    """KEDA's operator and metrics adapter, for one namespace alone, in a namespace of their own.

    The operator makes a HorizontalPodAutoscaler for every ScaledObject, and the adapter reports the lag to it. If KEDA
    fails, the numbers of pods stay as they are, and everything else keeps running.

    Whoever may make pods in a namespace has the rights of all its service accounts, and reads all its Secrets. So those
    of KEDA are where nobody else makes pods, and it may read no Secret of the namespace that it watches.

    The definitions here accept any content, because this program makes the objects and tests them. KEDA's own, of a
    megabyte, would be in every snapshot of the stack's state. Its admission webhooks only help hand-written objects.
    """

    namespace: pulumi.Output[str]
    """Where KEDA runs, and reads Secrets: those that a ClusterTriggerAuthentication names."""

    def __init__(self, name: str, args: KedaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:autoscaling:Keda", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name, self._watched = name, args.watched
        self.namespace = k.namespace(f"{name}-namespace", NAMESPACE, args.kubernetes_version, self._child)
        operators = k.Workload(_OPERATOR, self.namespace, OPERATOR_LABELS, self._child)
        adapters = k.Workload(_ADAPTER, self.namespace, ADAPTER_LABELS, self._child)
        needed = [
            *(define(f"{name}-{kind.plural}", kind, OPERATOR_LABELS, self._child) for kind in _KINDS),
            *self._cluster_permissions(),
        ]
        operator = self._deployment(
            "operator",
            operators,
            self._operator(),
            ports={"metrics": METRICS_PORT},
            account=self._operators_account(operators),
            # The operator makes the certificates when it first starts.
            certificates_optional=True,
            after=needed,
            # Each of two operators would put its own CA into the one registration of the adapter, without end.
            alone=True,
        )
        adapter = self._deployment(
            "adapter",
            adapters,
            self._adapter(),
            ports={"https": ADAPTER_PORT},
            account=self._adapters_account(adapters),
            certificates_optional=False,
            after=needed,
        )
        apiregistration.v1.APIService(
            f"{name}-api",
            metadata=meta.v1.ObjectMetaArgs(name=_METRICS_API, labels=ADAPTER_LABELS),
            spec=apiregistration.v1.APIServiceSpecArgs(
                group="external.metrics.k8s.io",
                version="v1beta1",
                group_priority_minimum=100,
                version_priority=100,
                # The operator adds the CA bundle to this object.
                service=apiregistration.v1.ServiceReferenceArgs(
                    name=_ADAPTER, namespace=self.namespace, port=ADAPTER_PORT
                ),
            ),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[operator, adapter])),
        )
        self.register_outputs({"namespace": self.namespace})

    def _operators_account(self, workload: k.Workload) -> pulumi.Output[str]:
        """Fewer permissions than KEDA's manifests, which let it read everything in the cluster, including Secrets.

        What other triggers than Kafka's and the CPU's would need is not here, nor is what ScaledJobs would.
        """
        events = [rule(group, ("events",), ("create", "patch")) for group in ("", "events.k8s.io")]
        there = [
            # The environment of the containers that it scales, which it reads although no trigger uses it.
            rule("", ("configmaps",), READ),
            rule("apps", ("deployments", "statefulsets"), READ),
            rule("apps", ("deployments/scale", "statefulsets/scale"), ("get", "patch", "update")),
            rule("autoscaling", ("horizontalpodautoscalers",), OWN),
            rule(_SCALED_OBJECT.group, _SCALED_OBJECT.parts, CHANGE),
            # There are none of the others, but it does not start where it cannot watch them.
            *(rule(each.group, (each.plural,), READ) for each in _KINDS if each.namespaced and each != _SCALED_OBJECT),
            *events,
        ]
        own = [
            rule("", ("secrets",), (*READ, "create", "update")),
            rule("coordination.k8s.io", ("leases",), ("get", "create", "update")),
            *events,
        ]
        return watcher(f"{self._name}-operator", workload, self._watched, there=there, own=own)

    def _adapters_account(self, workload: k.Workload) -> pulumi.Output[str]:
        """It asks the operator, and the API servers only who its clients are: that is in `_cluster_permissions`."""
        account = core.v1.ServiceAccount(
            f"{self._name}-adapter-account", metadata=workload.metadata(), opts=workload.opts
        )
        return account.metadata.name.apply(str)

    def _cluster_permissions(self) -> list[pulumi.Resource]:
        operator, adapter = (k.account_subject(each, self.namespace) for each in (_OPERATOR, _ADAPTER))
        controller = k.account_subject("horizontal-pod-autoscaler", "kube-system")
        in_cluster = rbac.v1.ClusterRole(
            f"{self._name}-cluster-role",
            metadata=meta.v1.ObjectMetaArgs(name=_CLUSTER_ROLE, labels=OPERATOR_LABELS),
            rules=[
                rule("apiregistration.k8s.io", ("apiservices",), ("list", "watch")),
                rule("apiregistration.k8s.io", ("apiservices",), ("get", "patch", "update"), names=(_METRICS_API,)),
                *(rule(kind.group, kind.parts, CHANGE) for kind in _KINDS if not kind.namespaced),
            ],
            opts=self._child,
        )
        reader = rbac.v1.ClusterRole(
            f"{self._name}-reader-role",
            metadata=meta.v1.ObjectMetaArgs(name="keda-external-metrics-reader", labels=ADAPTER_LABELS),
            rules=[rule("external.metrics.k8s.io", ("*",), READ)],
            opts=self._child,
        )
        return [
            self._cluster_binding("cluster", _CLUSTER_ROLE, in_cluster.metadata.name, operator),
            self._cluster_binding("reader", "keda-external-metrics-reader", reader.metadata.name, controller),
            self._cluster_binding("delegator", "keda-auth-delegator", "system:auth-delegator", adapter),
            rbac.v1.RoleBinding(
                f"{self._name}-auth-reader-binding",
                metadata=k.metadata("keda-auth-reader", "kube-system", ADAPTER_LABELS),
                role_ref=k.role_ref("Role", "extension-apiserver-authentication-reader"),
                subjects=[adapter],
                opts=self._child,
            ),
        ]

    def _cluster_binding(
        self, part: str, name: str, role: pulumi.Input[str], subject: rbac.v1.SubjectArgs
    ) -> pulumi.Resource:
        return k.cluster_binding(
            f"{self._name}-{part}-binding", name, OPERATOR_LABELS, role=role, subject=subject, opts=self._child
        )

    def _operator(self) -> core.v1.ContainerArgs:
        return core.v1.ContainerArgs(
            name=_OPERATOR,
            image=f"{versions.KEDA_IMAGES}/keda:{versions.KEDA}",
            command=["/keda"],
            args=[
                "--leader-elect",
                "--enable-cert-rotation",
                "--enable-webhook-patching=false",
                "--zap-encoder=console",
                "--zap-time-encoding=rfc3339",
            ],
            resources=k.resources(cpu="10m", memory_mib=96, limit_mib=384),
            startup_probe=k.http_probe(port=_PROBE_PORT, period=2, failures=60),
            readiness_probe=k.http_probe("/readyz", _PROBE_PORT),
            liveness_probe=k.http_probe(port=_PROBE_PORT, period=20),
        )

    def _adapter(self) -> core.v1.ContainerArgs:
        return core.v1.ContainerArgs(
            name=_ADAPTER,
            image=f"{versions.KEDA_IMAGES}/keda-metrics-apiserver:{versions.KEDA}",
            command=["/keda-adapter"],
            args=[
                f"--secure-port={ADAPTER_PORT}",
                f"--client-ca-file={_CERTIFICATES_DIR}/ca.crt",
                f"--tls-cert-file={_CERTIFICATES_DIR}/tls.crt",
                f"--tls-private-key-file={_CERTIFICATES_DIR}/tls.key",
                f"--cert-dir={_CERTIFICATES_DIR}",
                "--zap-log-level=error",
            ],
            resources=k.resources(cpu="10m", memory_mib=64, limit_mib=256),
            startup_probe=k.http_probe("/readyz", ADAPTER_PORT, scheme="HTTPS", period=2, failures=60),
            readiness_probe=k.http_probe("/readyz", ADAPTER_PORT, scheme="HTTPS"),
            liveness_probe=k.http_probe("/healthz", ADAPTER_PORT, scheme="HTTPS", period=20),
        )

    def _deployment(
        self,
        part: str,
        workload: k.Workload,
        container: core.v1.ContainerArgs,
        *,
        ports: Mapping[str, int],
        account: pulumi.Input[str],
        certificates_optional: bool,
        after: Sequence[pulumi.Resource],
        alone: bool = False,
    ) -> pulumi.Resource:
        k.service(f"{self._name}-{part}-service", workload, ports)
        container.ports = k.container_ports(ports)
        container.env = [
            k.env_field("POD_NAMESPACE", "metadata.namespace"),
            core.v1.EnvVarArgs(name="WATCH_NAMESPACE", value=self._watched),
            # To those of its own namespace: for others it would list and watch all of the namespace that it watches.
            k.env("KEDA_RESTRICT_SECRET_ACCESS", "true"),
        ]
        container.security_context = k.container_security()
        container.volume_mounts = [k.mount("certs", _CERTIFICATES_DIR, read_only=True), k.mount("tmp", "/tmp")]
        certificates = core.v1.VolumeArgs(
            name="certs",
            secret=core.v1.SecretVolumeSourceArgs(
                secret_name=_CERTIFICATES, optional=certificates_optional, default_mode=0o440
            ),
        )
        return k.deployment(
            f"{self._name}-{part}",
            replace(workload, opts=pulumi.ResourceOptions.merge(workload.opts, ALONE)) if alone else workload,
            container,
            [certificates, k.scratch_volume()],
            grace_seconds=10,
            service_account=account,
            after=after,
        )
