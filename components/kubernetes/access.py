"""Pods' access to the Kubernetes API."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes import core, meta, rbac

from components.kubernetes.names import Workload, available_after


def service_account(resource: str, workload: Workload, rules: Sequence[rbac.v1.PolicyRuleArgs]) -> pulumi.Output[str]:
    """The name of a service account with the rules' permissions in its namespace; available once it has them."""
    account = core.v1.ServiceAccount(f"{resource}-account", metadata=workload.metadata(), opts=workload.opts)
    binding = grant(resource, workload, rules, account_subject(account.metadata.name, workload.namespace))
    return available_after(account.metadata.name, binding.metadata.name)


def grant(
    resource: str, workload: Workload, rules: Sequence[rbac.v1.PolicyRuleArgs], subject: rbac.v1.SubjectArgs
) -> rbac.v1.RoleBinding:
    """The rules' permissions in the workload's namespace, for a subject of any namespace."""
    described, opts = workload.metadata(), workload.opts
    role = rbac.v1.Role(f"{resource}-role", metadata=described, rules=list(rules), opts=opts)
    return rbac.v1.RoleBinding(
        f"{resource}-binding",
        metadata=described,
        role_ref=role_ref("Role", role.metadata.name),
        subjects=[subject],
        opts=opts,
    )


def cluster_binding(
    resource: str,
    name: str,
    labelled: Mapping[str, str],
    *,
    role: pulumi.Input[str],
    subject: rbac.v1.SubjectArgs,
    opts: pulumi.ResourceOptions,
) -> rbac.v1.ClusterRoleBinding:
    """The permissions of a ClusterRole, in all namespaces, for one subject."""
    return rbac.v1.ClusterRoleBinding(
        resource,
        metadata=meta.v1.ObjectMetaArgs(name=name, labels=dict(labelled)),
        role_ref=role_ref("ClusterRole", role),
        subjects=[subject],
        opts=opts,
    )


def role_ref(kind: str, name: pulumi.Input[str]) -> rbac.v1.RoleRefArgs:
    """A reference to a Role or ClusterRole."""
    return rbac.v1.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind=kind, name=name)


def account_subject(name: pulumi.Input[str], namespace: pulumi.Input[str]) -> rbac.v1.SubjectArgs:
    """A service account, as the subject of a binding."""
    return rbac.v1.SubjectArgs(kind="ServiceAccount", name=name, namespace=namespace)
