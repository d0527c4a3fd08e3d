"""The Vertical Pod Autoscaler, which sets pods' memory and CPU by their use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pulumi
from pulumi_kubernetes import admissionregistration, core, meta, rbac

from components import kubernetes as k
from components import versions
from components.autoscaling.definitions import ALONE, READ, Kind, define, rule, watcher
from components.config.sections import VerticalLimits

GROUP: Final = "autoscaling.k8s.io"
VERSION: Final = "v1"
NAMESPACE: Final = "argus-vpa"
RECOMMENDER_LABELS: Final = k.labels("vpa-recommender", "autoscaling")
UPDATER_LABELS: Final = k.labels("vpa-updater", "autoscaling")
ADMISSION_LABELS: Final = k.labels("vpa-admission-controller", "autoscaling")
WEBHOOK_PORT: Final = 8000
"""Port of the admission webhook, which the API server calls for each new pod."""

_CLUSTER_ROLE: Final = "vpa"
_ADMISSION: Final = "vpa-admission-controller"
_SERVICE: Final = "vpa-webhook"
_WEBHOOK: Final = "vpa-webhook-config"
"""The name under which the admission controller registers its webhook at each start."""
_CERTIFICATES_DIR: Final = "/certs"
_CERTIFICATE: Final = Path(__file__).with_name("webhook_certificate.sh")
_MIB: Final = 2**20

_APPROVED: Final = "https://github.com/kubernetes/kubernetes/pull/63797"
_KINDS: Final = (
    Kind(
        GROUP,
        "VerticalPodAutoscaler",
        VERSION,
        short="vpa",
        columns={
            "Mode": ".spec.updatePolicy.updateMode",
            "CPU": ".status.recommendation.containerRecommendations[0].target.cpu",
            "Memory": ".status.recommendation.containerRecommendations[0].target.memory",
        },
        approved=_APPROVED,
    ),
    Kind(GROUP, "VerticalPodAutoscalerCheckpoint", VERSION, short="vpacheckpoint", approved=_APPROVED),
)
_SEEN_BY_ALL: Final = (
    rule("", ("pods", "limitranges", "replicationcontrollers"), READ),
    rule("apps", ("daemonsets", "deployments", "replicasets", "statefulsets"), READ),
    rule("apps", ("deployments/scale", "replicasets/scale", "statefulsets/scale"), ("get", "watch")),
    rule("batch", ("cronjobs", "jobs"), READ),
    rule(GROUP, ("verticalpodautoscalers",), READ),
)
"""What each of VPA's programs reads: pods, whose they are, and what is to be done with them."""


@dataclass(frozen=True, kw_only=True)
class VpaArgs:
    """Arguments of Vpa."""

    kubernetes_version: str
    watched: pulumi.Input[str]
    """The only namespace whose pods VPA watches; it runs in one of its own."""
    image_repository: str
    """The registry of its images, `<repository>/autoscaling/vpa-…`."""
    tools_image: pulumi.Input[str]
    """The consumer's image, which contains openssl."""
    limits: VerticalLimits


class Vpa(pulumi.ComponentResource):
    """The recommender, the updater and the admission controller, for one namespace alone, in a namespace of their own.

    The recommender watches what pods use, the updater applies that to running pods, and the admission controller to new
    pods. If they fail, pods keep running and start with the stack's values.

    Whoever may make pods in a namespace has the rights of all its service accounts; so theirs, which change and evict
    pods and register webhooks, are where nobody else makes pods.
    """

    namespace: pulumi.Output[str]
    """Where VPA runs."""

    def __init__(self, name: str, args: VpaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:autoscaling:Vpa", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name, self._args = name, args
        self.namespace = k.namespace(f"{name}-namespace", NAMESPACE, args.kubernetes_version, self._child)
        needed = [define(f"{name}-{kind.plural}", kind, RECOMMENDER_LABELS, self._child) for kind in _KINDS]
        limits = args.limits
        self._deployment(
            "recommender",
            RECOMMENDER_LABELS,
            [
                "--memory-saver=true",
                # The default minimum is 250 MiB, but smaller pods here use a fifth of that.
                "--pod-recommendation-min-memory-mb=32",
                "--pod-recommendation-min-cpu-millicores=10",
                f"--round-memory-bytes={_MIB}",
                f"--container-recommendation-max-allowed-memory={limits.maximum_memory_mib}Mi",
                f"--container-recommendation-max-allowed-cpu={limits.maximum_millicores}m",
            ],
            probe_port=8942,
            there=[
                rule("", ("events",), READ),
                rule("metrics.k8s.io", ("pods",), ("get", "list")),
                rule(GROUP, ("verticalpodautoscalers/status",), ("get", "patch")),
                rule(GROUP, ("verticalpodautoscalercheckpoints",), (*READ, "create", "patch", "delete")),
            ],
            after=needed,
        )
        self._deployment(
            "updater",
            UPDATER_LABELS,
            [
                f"--in-recommendation-bounds-eviction-lifetime-threshold={limits.settle_minutes}m",
                # An in-place resize does not restart the pod, so the disruption budget does not matter.
                "--in-place-skip-disruption-budget=true",
            ],
            probe_port=8943,
            there=[
                rule("", ("pods", "pods/resize"), ("patch",)),
                rule("", ("pods/eviction",), ("create",)),
                *(rule(group, ("events",), ("create", "patch", "update")) for group in ("", "events.k8s.io")),
            ],
            # Whether the admission controller works, without which it evicts nothing.
            own=[rule("coordination.k8s.io", ("leases",), ("get",))],
            after=needed,
        )
        self._admission_controller([*needed, self._cluster_permissions()])
        self.register_outputs({"namespace": self.namespace})

    def _cluster_permissions(self) -> pulumi.Resource:
        registrations = "mutatingwebhookconfigurations"
        role = rbac.v1.ClusterRole(
            f"{self._name}-cluster-role",
            metadata=meta.v1.ObjectMetaArgs(name=_CLUSTER_ROLE, labels=RECOMMENDER_LABELS),
            rules=[
                # RBAC cannot limit `create` to a name.
                rule("admissionregistration.k8s.io", (registrations,), ("create",)),
                rule("admissionregistration.k8s.io", (registrations,), ("get", "patch", "delete"), names=(_WEBHOOK,)),
            ],
            opts=self._child,
        )
        return k.cluster_binding(
            f"{self._name}-cluster-binding",
            _CLUSTER_ROLE,
            RECOMMENDER_LABELS,
            role=role.metadata.name,
            subject=k.account_subject(_ADMISSION, self.namespace),
            opts=self._child,
        )

    def _admission_controller(self, needed: Sequence[pulumi.Resource]) -> None:
        """It registers itself with its pod's certificate. If it does not answer, pods start with the stack's values."""
        workload = k.Workload(_SERVICE, self.namespace, ADMISSION_LABELS, self._child)
        core.v1.Service(
            f"{self._name}-webhook",
            metadata=workload.metadata(),
            spec=core.v1.ServiceSpecArgs(
                selector=dict(ADMISSION_LABELS),
                ports=[core.v1.ServicePortArgs(name="https", port=443, target_port=WEBHOOK_PORT)],
            ),
            opts=self._child,
        )
        # Declared here so that it is deleted with the rest.
        registration = admissionregistration.v1.MutatingWebhookConfiguration(
            f"{self._name}-registration",
            metadata=meta.v1.ObjectMetaArgs(name=_WEBHOOK, labels=ADMISSION_LABELS),
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(ignore_changes=["metadata", "webhooks"])
            ),
        )
        scripts = {_CERTIFICATE.name: _CERTIFICATE.read_text()}
        script = k.config_map(f"{self._name}-certificate", workload.named("vpa-certificate"), scripts)
        certificate = core.v1.ContainerArgs(
            name="certificate",
            image=self._args.tools_image,
            command=["/bin/sh", f"{k.CONFIG_DIR}/{_CERTIFICATE.name}", _CERTIFICATES_DIR],
            args=[pulumi.Output.format("{0}.{1}.svc", _SERVICE, self.namespace)],
            resources=k.resources(cpu="10m", memory_mib=16, limit_mib=64),
            security_context=k.container_security(),
            volume_mounts=[
                k.mount("config", k.CONFIG_DIR, read_only=True),
                k.mount("certs", _CERTIFICATES_DIR),
                k.mount("tmp", "/tmp"),
            ],
        )
        self._deployment(
            "admission-controller",
            ADMISSION_LABELS,
            [
                f"--port={WEBHOOK_PORT}",
                f"--webhook-service={_SERVICE}",
                # Every new pod waits for this webhook, including the replacement of a webhook whose machine died.
                "--webhook-timeout-seconds=2",
                f"--client-ca-file={_CERTIFICATES_DIR}/tls.crt",
                f"--tls-cert-file={_CERTIFICATES_DIR}/tls.crt",
                f"--tls-private-key={_CERTIFICATES_DIR}/tls.key",
            ],
            probe_port=8944,
            there=[rule("", ("configmaps",), READ)],
            own=[rule("coordination.k8s.io", ("leases",), (*READ, "create", "update"))],
            after=[*needed, registration],
            first=certificate,
            ports={"https": WEBHOOK_PORT},
            volumes=[k.config_volume(script), k.scratch_volume("certs")],
        )

    def _deployment(
        self,
        part: str,
        labels: Mapping[str, str],
        arguments: Sequence[str],
        *,
        probe_port: int,
        there: Sequence[rbac.v1.PolicyRuleArgs],
        own: Sequence[rbac.v1.PolicyRuleArgs] = (),
        after: Sequence[pulumi.Resource],
        first: core.v1.ContainerArgs | None = None,
        ports: Mapping[str, int] | None = None,
        volumes: Sequence[core.v1.VolumeArgs] = (),
    ) -> None:
        probe = "/health-check"
        container = core.v1.ContainerArgs(
            name=part,
            image=f"{self._args.image_repository}/autoscaling/vpa-{part}:{versions.VPA}",
            args=[
                pulumi.Output.format("--vpa-object-namespace={0}", self._args.watched),
                # A pod that cannot be resized in place stays as it is instead of being evicted.
                "--feature-gates=InPlace=true",
                "--v=2",
                *arguments,
            ],
            env=[k.env_field("NAMESPACE", "metadata.namespace")],
            ports=k.container_ports(ports or {}),
            resources=k.resources(cpu="10m", memory_mib=48, limit_mib=256),
            startup_probe=k.http_probe(probe, probe_port, period=2, failures=60),
            readiness_probe=k.http_probe(probe, probe_port),
            liveness_probe=k.http_probe(probe, probe_port, period=20),
            security_context=k.container_security(),
            volume_mounts=[k.mount("certs", _CERTIFICATES_DIR, read_only=True)] if first else [],
        )
        workload = k.Workload(f"vpa-{part}", self.namespace, labels, self._child)
        account = watcher(f"{self._name}-{part}", workload, self._args.watched, there=[*_SEEN_BY_ALL, *there], own=own)
        k.deployment(
            f"{self._name}-{part}",
            # Two updaters would each count for itself how many pods it may restart, and of two admission controllers
            # the one that registered last is asked.
            replace(workload, opts=pulumi.ResourceOptions.merge(workload.opts, ALONE)),
            container,
            [*volumes, k.scratch_volume()],
            grace_seconds=10,
            service_account=account,
            first=[first] if first else None,
            after=after,
        )
