"""Which images pods may have: only those that the stack has verified, whoever makes the pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_kubernetes import admissionregistration as admission
from pulumi_kubernetes import meta

from components import kubernetes as k
from components.pipeline.dns import NAMESPACE_NAME

NAME: Final = "argus-images"
LABELS: Final = k.labels("images", "admission")

_KINDS: Final = ("initContainers", "ephemeralContainers")
"""The containers that a pod need not have."""


@dataclass(frozen=True, kw_only=True)
class ImagePolicyArgs:
    """Arguments of ImagePolicy."""

    namespaces: Sequence[str]
    images: pulumi.Input[Sequence[str]]
    """The references, with digests, that pods of this update may name."""
    last: pulumi.Input[Mapping[str, Sequence[str]]]
    """What `ImagePolicy.admitted` was in the last update; empty before the first."""


def admitted(images: Sequence[str], last: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The images of this update (`now`) and of the one with other images that went before it (`before`).

    While an update replaces pods, those of the version before may start again, and a driver makes its executors.
    """
    now = sorted(images)
    earlier = "before" if list(last.get("now", ())) == now else "now"
    return {"now": now, "before": list(last.get(earlier, ()))}


class ImagePolicy(pulumi.ComponentResource):
    """A policy of the API server's own refuses pods of the pipeline's namespaces with any other image.

    So what was verified when it was rolled out is all that runs, although no machine looks at a signature: an image is
    admitted by the digest that was verified. It looks at images alone, and not at those that a pod has already.
    """

    in_force: pulumi.Resource
    """Pods that depend on this are made when the policy admits them."""
    admitted: pulumi.Output[dict[str, list[str]]]
    """What the stack is to remember for the next update."""

    def __init__(self, name: str, args: ImagePolicyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:ImagePolicy", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.admitted = pulumi.Output.all(args.images, args.last).apply(lambda known: admitted(*known))
        described = meta.v1.ObjectMetaArgs(name=NAME, labels=dict(LABELS))
        policy = admission.v1.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata=described,
            spec=self.admitted.apply(lambda known: policy_spec(args.namespaces, [*known["now"], *known["before"]])),
            opts=child,
        )
        self.in_force = admission.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata=described,
            spec=admission.v1.ValidatingAdmissionPolicyBindingSpecArgs(
                policy_name=policy.metadata.name, validation_actions=["Deny"]
            ),
            opts=child,
        )
        self.register_outputs({})


def policy_spec(namespaces: Sequence[str], images: Sequence[str]) -> Any:
    """The spec of the policy, whose failure is a refusal."""
    return admission.v1.ValidatingAdmissionPolicySpecArgs(
        failure_policy="Fail",
        match_constraints=admission.v1.MatchResourcesArgs(
            namespace_selector=meta.v1.LabelSelectorArgs(
                match_expressions=[
                    meta.v1.LabelSelectorRequirementArgs(key=NAMESPACE_NAME, operator="In", values=sorted(namespaces))
                ]
            ),
            resource_rules=[
                admission.v1.NamedRuleWithOperationsArgs(
                    api_groups=[""],
                    api_versions=["v1"],
                    operations=["CREATE", "UPDATE"],
                    resources=["pods", "pods/ephemeralcontainers"],
                )
            ],
        ),
        variables=[
            admission.v1.VariableArgs(name=name, expression=expression) for name, expression in VARIABLES.items()
        ]
        + [admission.v1.VariableArgs(name="admitted", expression=_texts(sorted(set(images))))],
        validations=[
            admission.v1.ValidationArgs(
                expression="variables.wanted.all(i, i in variables.had || i in variables.admitted)",
                message_expression=(
                    "'this stack has verified no image ' + variables.wanted.filter(i, !(i in variables.had) && "
                    "!(i in variables.admitted)).join(', ') + '; only what argus:images.signers verified runs here'"
                ),
                reason="Forbidden",
            )
        ],
    )


def _images_of(pod: str) -> str:
    """The CEL expression of all images of a pod."""
    others = (f"(has({pod}.spec.{kind}) ? {pod}.spec.{kind}.map(c, c.image) : [])" for kind in _KINDS)
    return " + ".join((f"{pod}.spec.containers.map(c, c.image)", *others))


def _texts(values: Sequence[str]) -> str:
    """The CEL expression of a list of texts; references of images need no escape."""
    return "[" + ", ".join(f"'{each}'" for each in values) + "]"


VARIABLES: Final = {
    "wanted": _images_of("object"),
    "had": f"request.operation == 'CREATE' ? [] : ({_images_of('oldObject')})",
}
