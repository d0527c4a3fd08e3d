"""What keeps the page's certificate of an ACME server, where the stack names one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core, rbac

from components import kubernetes as k
from components.autoscaling.definitions import watcher
from components.config import sections
from components.images import APP, Image

IMAGE: Final = Image(name="acme", paths=(*APP, "apps/acme"))
NAMESPACE: Final = "argus-acme"
LABELS: Final = k.labels("acme", "certificates")
PAGE_DIR: Final = "/etc/argus-acme"
"""Where the page's pods have the certificate."""

_AUTHORITY: Final = "authority.pem"
_KEYS_ON_NO_DISK: Final = core.v1.VolumeArgs(
    name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs(medium="Memory", size_limit="16Mi")
)


@dataclass(frozen=True, kw_only=True)
class AcmeArgs:
    """Arguments of Acme."""

    kubernetes_version: str
    image: pulumi.Input[str]
    section: sections.Acme
    names: Sequence[str]
    """The DNS names of the certificate."""
    page: pulumi.Input[str]
    """The namespace of the page."""


class Acme(pulumi.ComponentResource):
    """A pod that runs lego, and the two Secrets that it writes: its own state, and the page's certificate.

    It has a namespace of its own, because whoever may make pods in the pipeline's could give them the login to the DNS
    provider. In the pipeline's namespace it may write that one Secret.

    Both Secrets are made empty here. Their content is the pod's, so updates leave it alone.
    """

    namespace: pulumi.Output[str]
    """Where the pod runs."""
    secret: pulumi.Output[str]
    """The name of the Secret, in the page's namespace, in which tls.crt and tls.key appear."""

    def __init__(self, name: str, args: AcmeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Acme", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.namespace = k.namespace(f"{name}-namespace", NAMESPACE, args.kubernetes_version, child)
        workload = k.Workload("acme", self.namespace, LABELS, child)
        state = _empty(f"{name}-state", workload.named("acme-state"))
        self.secret = _empty(f"{name}-page", k.Workload("ui-acme", args.page, LABELS, child))
        secrets = args.section.lego_secrets
        credentials = pulumi.Output.secret(secrets)
        login = core.v1.Secret(
            f"{name}-credentials",
            metadata=workload.named("acme-credentials").metadata(),
            string_data=credentials,
            opts=child,
        )
        variables: dict[str, pulumi.Input[str]] = {
            "ARGUS_SERVER": args.section.server,
            "ARGUS_NAMES": ",".join(args.names),
            "ARGUS_DNS_PROVIDER": args.section.dns_provider,
            "ARGUS_CREDENTIALS": ",".join(sorted(secrets)),
            "ARGUS_STATE_SECRET": state,
            "ARGUS_PAGE_NAMESPACE": args.page,
            "ARGUS_PAGE_SECRET": self.secret,
            **args.section.lego_variables,
            **({"LEGO_CA_CERTIFICATES": f"{k.CONFIG_DIR}/{_AUTHORITY}"} if args.section.ca else {}),
        }
        authority = {_AUTHORITY: args.section.ca or ""}
        container = core.v1.ContainerArgs(
            name="acme",
            image=args.image,
            env_from=[
                *k.env_from(k.config_map(f"{name}-config", workload, variables)),
                core.v1.EnvFromSourceArgs(secret_ref=core.v1.SecretEnvSourceArgs(name=login.metadata.name)),
            ],
            resources=k.resources(cpu="10m", memory_mib=64, limit_mib=256),
            security_context=k.container_security(),
            volume_mounts=[k.mount("config", k.CONFIG_DIR, read_only=True), k.mount("tmp", "/tmp")],
        )
        k.deployment(
            f"{name}-deployment",
            workload,
            container,
            [
                k.config_volume(k.config_map(f"{name}-authority", workload.named("acme-authority"), authority)),
                _KEYS_ON_NO_DISK,
            ],
            # lego ends what it has begun.
            grace_seconds=60,
            contents=[variables, authority, credentials],
            service_account=watcher(
                name, workload, args.page, there=[_may_write(self.secret)], own=[_may_write(state)]
            ),
            # Two would ask for two certificates.
            recreate=True,
        )
        self.register_outputs({"namespace": self.namespace, "secret": self.secret})


def _empty(resource: str, workload: k.Workload) -> pulumi.Output[str]:
    """The name of a Secret whose content is a pod's."""
    opts = pulumi.ResourceOptions.merge(workload.opts, pulumi.ResourceOptions(ignore_changes=["data"]))
    return core.v1.Secret(resource, metadata=workload.metadata(), opts=opts).metadata.name.apply(str)


def _may_write(secret: pulumi.Input[str]) -> rbac.v1.PolicyRuleArgs:
    return rbac.v1.PolicyRuleArgs(
        api_groups=[""], resources=["secrets"], resource_names=[secret], verbs=["get", "update"]
    )
