"""Pods' access to the Kubernetes API."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes import core, rbac

from components.kubernetes.names import metadata


def service_account(
    resource: str,
    name: str,
    namespace: pulumi.Input[str],
    labelled: Mapping[str, str],
    rules: Sequence[rbac.v1.PolicyRuleArgs],
    *,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of a service account with the rules' permissions in its namespace; available once it has them."""
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
