"""What a pod of the stack shows others, and by what it knows them: the token, and the authority of certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import drawn
from components import kubernetes as k
from components.config import sections

LABELS: Final = k.labels("pods", "token")
FILE: Final = PurePosixPath("/etc/argus-token/token")
"""Where a pod that asks others, or answers them, has the token."""
AUTHORITY: Final = FILE.with_name("ca.pem")
"""Where it has the certificate of the authority (pod_certificates.py)."""

VOLUME: Final = "token"


@dataclass(frozen=True, kw_only=True)
class PodTokenArgs:
    """Arguments of PodToken."""

    namespace: pulumi.Input[str]
    section: sections.PodSecrets
    authority: pulumi.Input[str]
    """The certificate of the authority that signs those of pods, as PEM text."""


class PodToken(pulumi.ComponentResource):
    """A drawn token in a Secret. Producers let go of a camera, and consumers tell what they store, only where a request
    shows it. Pods read it again when it changes, so another one restarts nothing (apps/service/token.py). Beside it is
    the authority's certificate: who asks with the token asks only servers that have a certificate of this authority.
    """

    secret: pulumi.Output[str]
    """The name of the Secret."""

    def __init__(self, name: str, args: PodTokenArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:PodToken", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        token = drawn.secret(f"{name}-token", redraw=args.section.redraw, opts=child)
        made = core.v1.Secret(
            f"{name}-secret",
            metadata=k.metadata("pods-token", args.namespace, LABELS),
            string_data=pulumi.Output.secret({FILE.name: token, AUTHORITY.name: args.authority}),
            opts=child,
        )
        self.secret = made.metadata.name.apply(str)
        self.register_outputs({"secret": self.secret})


def mount() -> core.v1.VolumeMountArgs:
    """Where a container has both; their folder, because Kubernetes renews no file that is mounted by itself."""
    return k.mount(VOLUME, str(FILE.parent), read_only=True)


def volume(secret: pulumi.Input[str]) -> core.v1.VolumeArgs:
    """The volume of a pod with both."""
    return k.secret_volume(secret, VOLUME)
