"""Namespaces, and which pods they admit."""

from typing import Literal

import pulumi
from pulumi_kubernetes import core, meta


def namespace(
    resource: str,
    name: str,
    kubernetes_version: str,
    opts: pulumi.ResourceOptions,
    *,
    profile: Literal["restricted", "privileged"] = "restricted",
) -> pulumi.Output[str]:
    """The name of a namespace that admits only pods of this profile of Pod Security, by the rules of the version's
    minor version: these change only with an upgrade of the cluster."""
    minor = ".".join(kubernetes_version.split(".")[:2])
    labels = {"app.kubernetes.io/part-of": "argus"}
    for level in ("enforce", "warn", "audit"):
        labels[f"pod-security.kubernetes.io/{level}"] = profile
        labels[f"pod-security.kubernetes.io/{level}-version"] = f"v{minor}"
    made = core.v1.Namespace(resource, metadata=meta.v1.ObjectMetaArgs(name=name, labels=labels), opts=opts)
    return made.metadata.name.apply(str)
