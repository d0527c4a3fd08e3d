"""What the API server lets models' drivers do with pods: nothing but make, change and delete their own executors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import admissionregistration as admission
from pulumi_kubernetes import meta

from components import kubernetes as k

LABELS: Final = k.labels("drivers", "admission")
DRIVERS: Final = "model-"
"""How the names of drivers' service accounts begin."""

EXECUTOR: Final = "executor"
"""The component, in the sense of Kubernetes' recommended labels, that executors are."""

ACCOUNT: Final = "default"
"""The service account of executors, which may do nothing and whose token they do not get."""

SECRET: Final = "rpc"
"""A driver and its executors share the Secret `<application>-<SECRET>-<hash>`."""

_NAME, _COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
_OWNER: Final = "authentication.kubernetes.io/pod-uid"
"""What the API server knows of the pod whose token a request has."""


@dataclass(frozen=True, kw_only=True)
class DriverPolicyArgs:
    """Arguments of DriverPolicy; `image` is the one of drivers and executors."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]


def repository(image: str) -> str:
    """An image's reference without tag and digest."""
    path = image.partition("@")[0]
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"


def is_by_a_driver(namespace: str) -> str:
    """The CEL expression that is true of a driver's request."""
    return f"request.userInfo.username.startsWith('system:serviceaccount:{namespace}:{DRIVERS}')"


PODS: Final = (
    "request.operation == 'CREATE' ? [object] : (request.operation == 'DELETE' ? [oldObject] : [object, oldObject])"
)
"""The CEL expression of the pod before and after a request, as far as there is one."""


def validations(namespace: str, image: str) -> dict[str, str]:
    """The CEL expressions that must be true of a driver's request, by what is said where one is not."""
    # A dot as a class, because a backslash would have to be doubled in CEL.
    images = f"^{repository(image).replace('.', '[.]')}(:[^/@]+)?(@sha256:[0-9a-f]+)?$"
    own_secret = f"'^' + object.metadata.labels['{_NAME}'] + '-{SECRET}-[0-9a-f]{{16}}$'"
    after = {
        "an executor has one container, of the stack's Spark image": (
            "(!has(object.spec.initContainers) || object.spec.initContainers.size() == 0)"
            " && (!has(object.spec.ephemeralContainers) || object.spec.ephemeralContainers.size() == 0)"
            " && object.spec.containers.size() == 1"
            f" && object.spec.containers.all(c, c.image.matches('{images}'))"
        ),
        f"an executor runs as the service account `{ACCOUNT}`, without its token": (
            f"has(object.spec.serviceAccountName) && object.spec.serviceAccountName == '{ACCOUNT}'"
            " && has(object.spec.automountServiceAccountToken) && !object.spec.automountServiceAccountToken"
        ),
        "an executor has no volumes but empty ones and the Secret of its application": (
            "!has(object.spec.volumes) || object.spec.volumes.all(v, has(v.emptyDir)"
            f" || (has(v.secret) && has(v.secret.secretName) && v.secret.secretName.matches({own_secret})))"
        ),
        "an executor's environment is made of values and of the pod's own fields": (
            "object.spec.containers.all(c, (!has(c.envFrom) || c.envFrom.size() == 0)"
            " && (!has(c.env) || c.env.all(e, !has(e.valueFrom) || has(e.valueFrom.fieldRef))))"
            " && (!has(object.spec.imagePullSecrets) || object.spec.imagePullSecrets.size() == 0)"
        ),
        "an executor has nothing of its machine": (
            "(!has(object.spec.hostNetwork) || !object.spec.hostNetwork)"
            " && (!has(object.spec.hostPID) || !object.spec.hostPID)"
            " && (!has(object.spec.hostIPC) || !object.spec.hostIPC)"
            " && object.spec.containers.all(c, (!has(c.ports) || c.ports.all(p, !has(p.hostPort)))"
            " && has(c.securityContext)"
            " && (!has(c.securityContext.privileged) || !c.securityContext.privileged)"
            " && has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation"
            " && (!has(c.securityContext.capabilities) || !has(c.securityContext.capabilities.add)"
            " || c.securityContext.capabilities.add.size() == 0))"
        ),
        "an executor drives out no other pod": (
            "!has(object.spec.priorityClassName) || object.spec.priorityClassName == ''"
        ),
    }
    return {
        "a driver may only make, change and delete executors of its own application": (
            "variables.pods.all(p, has(p.metadata.labels)"
            f" && '{_NAME}' in p.metadata.labels && '{_COMPONENT}' in p.metadata.labels"
            f" && request.userInfo.username == 'system:serviceaccount:{namespace}:' + p.metadata.labels['{_NAME}']"
            f" && p.metadata.labels['{_COMPONENT}'] == '{EXECUTOR}')"
        ),
        **{text: f"request.operation == 'DELETE' || ({expression})" for text, expression in after.items()},
        "an executor belongs to the driver that makes it, and goes with it": (
            "request.operation != 'CREATE' || (has(object.metadata.ownerReferences)"
            " && object.metadata.ownerReferences.size() == 1"
            " && has(request.userInfo.extra)"
            f" && '{_OWNER}' in request.userInfo.extra"
            " && object.metadata.ownerReferences.all(o, o.kind == 'Pod'"
            f" && o.uid == request.userInfo.extra['{_OWNER}'][0]))"
        ),
    }


class DriverPolicy(pulumi.ComponentResource):
    """The drivers of all models may make pods, which is much in a namespace with Secrets. So the API server admits of
    their requests only those about executors of their own: with the stack's Spark image, no rights, no other Secret
    and nothing of the machine. A policy of the API server's own needs no further pod, and is there when a driver is.

    It tells applications apart by the name that a driver's service account, its executors' labels and their Secret
    have in common. Any tag of the image is admitted: while another version takes over (ADR 16), both make executors.
    """

    name: pulumi.Output[str]
    """The name of the policy's binding, available once the policy is in force."""

    def __init__(self, name: str, args: DriverPolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:DriverPolicy", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        known = pulumi.Output.all(args.namespace, args.image)
        described = meta.v1.ObjectMetaArgs(
            name=pulumi.Output.format("{0}-drivers", args.namespace), labels=dict(LABELS)
        )
        policy = admission.v1.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata=described,
            spec=known.apply(lambda values: policy_spec(values[0], values[1])),
            opts=child,
        )
        binding = admission.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata=described,
            spec=admission.v1.ValidatingAdmissionPolicyBindingSpecArgs(
                policy_name=policy.metadata.name, validation_actions=["Deny"]
            ),
            opts=child,
        )
        self.name = binding.metadata.name.apply(str)
        self.register_outputs({"name": self.name})


def policy_spec(namespace: str, image: str) -> Any:
    """The spec of the policy, whose failure is a refusal."""
    return admission.v1.ValidatingAdmissionPolicySpecArgs(
        failure_policy="Fail",
        match_constraints=admission.v1.MatchResourcesArgs(
            resource_rules=[
                admission.v1.NamedRuleWithOperationsArgs(
                    api_groups=[""],
                    api_versions=["v1"],
                    operations=["CREATE", "UPDATE", "DELETE"],
                    resources=["pods"],
                )
            ]
        ),
        match_conditions=[admission.v1.MatchConditionArgs(name="by-a-driver", expression=is_by_a_driver(namespace))],
        variables=[admission.v1.VariableArgs(name="pods", expression=PODS)],
        validations=[
            admission.v1.ValidationArgs(expression=expression, message=message, reason="Forbidden")
            for message, expression in validations(namespace, image).items()
        ],
    )
