"""A certificate of the page, of a private authority of the stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.pipeline.certificates import authority, block, printed

SCRIPT: Final = Path(__file__).with_name("page_certificate.sh")
DAYS: Final = 397
"""Browsers take no longer one."""


@dataclass(frozen=True, kw_only=True)
class PageCertificateArgs:
    """Arguments of PageCertificate."""

    workload: k.Workload
    names: Sequence[str]
    """DNS names and IPv4 addresses at which browsers open the page."""
    redraw: str
    """Another word makes another authority."""


class PageCertificate(pulumi.ComponentResource):
    """Makes an authority, which stays, and a certificate, which the first update of each quarter makes anew.

    The computer that runs Pulumi makes both with openssl. The authority's private key is in the stack's state alone,
    encrypted; the page's is also in the Secret, which pods read again when it changes.
    """

    secret: pulumi.Output[str]
    """The name of the Secret with tls.crt and tls.key."""
    authority: pulumi.Output[str]
    """The authority's certificate as PEM text, for whoever opens the page; no secret."""

    def __init__(self, name: str, args: PageCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:PageCertificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        signing = authority(f"{name}-authority", SCRIPT, "authority", redraw=args.redraw, opts=child)
        page = printed(
            f"{name}-page",
            SCRIPT,
            " ".join(["page", str(DAYS), *args.names]),
            period=_quarter(datetime.now(UTC)),
            stdin=signing,
            opts=child,
        )
        made = core.v1.Secret(
            f"{name}-secret",
            metadata=args.workload.named("ui-tls").metadata(),
            type="kubernetes.io/tls",
            string_data={"tls.key": block(page, 0), "tls.crt": block(page, 1)},
            opts=child,
        )
        self.secret = made.metadata.name.apply(str)
        self.authority = pulumi.Output.unsecret(block(signing, 1))
        self.register_outputs({"secret": self.secret, "authority": self.authority})


def _quarter(now: datetime) -> str:
    return f"{now.year}-{(now.month + 2) // 3}"
