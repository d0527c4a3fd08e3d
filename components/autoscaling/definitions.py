"""Custom resource definitions, and the rights of who watches their objects from another namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
from pulumi_kubernetes import apiextensions, core, meta, rbac

from components import kubernetes as k

READ: Final = ("get", "list", "watch")
CHANGE: Final = (*READ, "patch", "update")
OWN: Final = (*CHANGE, "create", "delete")

ALONE: Final = pulumi.ResourceOptions(delete_before_replace=True)
"""For pods that must not run in two namespaces at once. Of one that moves to another namespace Pulumi would delete the
old one at the end of the update, and no election stops it before: the Lease of each is in its own namespace."""


@dataclass(frozen=True)
class Kind:
    """One kind of custom resource."""

    group: str
    name: str
    version: str
    namespaced: bool = True
    short: str | None = None
    """The short name for kubectl."""
    columns: Mapping[str, str] | None = None
    """The columns of `kubectl get`: JSON paths, by column name."""
    approved: str | None = None
    """URL of the Kubernetes project's approval, which the API server requires for groups under k8s.io."""

    @property
    def plural(self) -> str:
        """Its plural name, as in URLs of the API."""
        return f"{self.name.lower()}s"

    @property
    def parts(self) -> tuple[str, ...]:
        """Its resource and subresources, as RBAC rules name them."""
        return (self.plural, f"{self.plural}/status", f"{self.plural}/finalizers")


def define(
    resource: str, kind: Kind, labelled: Mapping[str, str], opts: pulumi.ResourceOptions
) -> apiextensions.v1.CustomResourceDefinition:
    """The definition of a kind. It accepts any content, because this program makes the objects and tests them."""
    # A dict in Kubernetes' spelling, because not every provider translates the field name of Pulumi's type.
    anything: Any = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    annotations = {"api-approved.kubernetes.io": kind.approved} if kind.approved else None
    return apiextensions.v1.CustomResourceDefinition(
        resource,
        metadata=meta.v1.ObjectMetaArgs(
            name=f"{kind.plural}.{kind.group}", labels=dict(labelled), annotations=annotations
        ),
        spec=apiextensions.v1.CustomResourceDefinitionSpecArgs(
            group=kind.group,
            names=apiextensions.v1.CustomResourceDefinitionNamesArgs(
                kind=kind.name,
                list_kind=f"{kind.name}List",
                plural=kind.plural,
                singular=kind.name.lower(),
                short_names=[kind.short] if kind.short else None,
            ),
            scope="Namespaced" if kind.namespaced else "Cluster",
            versions=[
                apiextensions.v1.CustomResourceDefinitionVersionArgs(
                    name=kind.version,
                    served=True,
                    storage=True,
                    schema=apiextensions.v1.CustomResourceValidationArgs(
                        open_apiv3_schema=apiextensions.v1.JSONSchemaPropsArgs(
                            type="object", properties={"spec": anything, "status": anything}
                        )
                    ),
                    subresources=apiextensions.v1.CustomResourceSubresourcesArgs(status={}),
                    additional_printer_columns=[
                        apiextensions.v1.CustomResourceColumnDefinitionArgs(name=name, type="string", json_path=path)
                        for name, path in (kind.columns or {}).items()
                    ],
                )
            ],
        ),
        opts=opts,
    )


def rule(
    group: str, resources: Sequence[str], verbs: Sequence[str], *, names: Sequence[str] | None = None
) -> rbac.v1.PolicyRuleArgs:
    """An RBAC rule for resources of a group, limited to `names` where given."""
    return rbac.v1.PolicyRuleArgs(
        api_groups=[group],
        resources=list(resources),
        verbs=list(verbs),
        resource_names=list(names) if names else None,
    )


def watcher(
    resource: str,
    workload: k.Workload,
    watched: pulumi.Input[str],
    *,
    there: Sequence[rbac.v1.PolicyRuleArgs],
    own: Sequence[rbac.v1.PolicyRuleArgs] = (),
) -> pulumi.Output[str]:
    """The name of a service account in the workload's namespace, with the rights `there` in the namespace `watched` and
    `own` in its own; available once it has them."""
    account = core.v1.ServiceAccount(f"{resource}-account", metadata=workload.metadata(), opts=workload.opts)
    subject = k.account_subject(account.metadata.name, workload.namespace)
    bindings = [k.grant(f"{resource}-watched", replace(workload, namespace=watched), there, subject)]
    if own:
        bindings.append(k.grant(f"{resource}-own", workload, own, subject))
    return k.available_after(account.metadata.name, *(each.metadata.name for each in bindings))
