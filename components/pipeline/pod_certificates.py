"""The certificates that pods of the stack show other pods (ADR 43)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.pipeline.certificates import SCRIPT, authority, block, public, yearly

DIR: Final = "/etc/argus-tls"
"""Where a pod that answers others has its key and certificate."""
VOLUME: Final = "tls"


@dataclass(frozen=True, kw_only=True)
class PodCertificatesArgs:
    """Arguments of PodCertificates."""

    namespace: pulumi.Input[str]
    section: sections.PodSecrets


class PodCertificates(pulumi.ComponentResource):
    """A private authority of the stack, and a key and certificate for each kind of pod that answers others.

    The computer that runs Pulumi makes them with openssl. The authority's private key is in the stack's state alone,
    encrypted; a certificate's is also in a Secret, which only the pods of its kind mount. Certificates are made anew by
    the first update of a year, and where `podSecrets.redraw` changes; they are valid for three years. Pods read them
    again when they change, and an older one stays good beside a new one, as both are of one authority, which lasts for
    twenty years and is not made anew.
    """

    authority: pulumi.Output[str]
    """The authority's certificate as PEM text, which pods that ask others trust; no secret."""
    public: dict[str, pulumi.Output[str]]
    """The certificates that were made so far, without their keys, as `pods.KIND`."""

    def __init__(self, name: str, args: PodCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:PodCertificates", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._authority = authority(f"{name}-authority", SCRIPT, "authority argus-pods", opts=self._child)
        self.authority = pulumi.Output.unsecret(block(self._authority, 0))
        self.public = {}
        self.register_outputs({"authority": self.authority})

    def server(self, kind: str, hosts: pulumi.Input[Sequence[str]], labelled: Mapping[str, str]) -> pulumi.Output[str]:
        """The name of a Secret with the key and certificate of this kind of pods, which clients ask at these names."""
        made = yearly(
            f"{self._name}-{kind}",
            pulumi.Output.from_input(hosts).apply(lambda names: " ".join(["server", kind, *names])),
            authority=self._authority,
            redraw=self._args.section.redraw,
            opts=self._child,
        )
        self.public[f"pods.{kind}"] = public(made)
        secret = core.v1.Secret(
            f"{self._name}-{kind}-secret",
            metadata=k.metadata(f"{kind}-tls", self._args.namespace, labelled),
            type="kubernetes.io/tls",
            string_data={"tls.key": block(made, 0), "tls.crt": block(made, 1)},
            opts=self._child,
        )
        return secret.metadata.name.apply(str)


def mount() -> core.v1.VolumeMountArgs:
    """Where a container has its key and certificate."""
    return k.mount(VOLUME, DIR, read_only=True)


def volume(secret: pulumi.Input[str]) -> core.v1.VolumeArgs:
    """The volume of a pod with its key and certificate."""
    return k.secret_volume(secret, VOLUME)
