"""What pods ask of those who read their metrics, and show them (ADR 57)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from apps.messages.names import METRICS_HOST
from components import drawn
from components import kubernetes as k
from components.config import sections
from components.pipeline.kafka_identities import AUTHORITY
from components.pipeline.pod_certificates import PodCertificates

LABELS: Final = k.labels("metrics", "scraping")
DIR: Final = "/etc/argus-metrics"
"""Where a pod has the token, and its key and certificate."""

_TOKEN, _VOLUME, _KIND = "token", "metrics", "metrics"


@dataclass(frozen=True, kw_only=True)
class ScrapingArgs:
    """Arguments of Scraping."""

    namespace: pulumi.Input[str]
    section: sections.PodSecrets
    certificates: PodCertificates


@dataclass(frozen=True, kw_only=True)
class Scraped:
    """What a container needs to answer metrics, and its pod for it."""

    variables: Mapping[str, pulumi.Input[str]]
    mounts: Sequence[core.v1.VolumeMountArgs]
    volumes: Sequence[core.v1.VolumeArgs]


class Scraping(pulumi.ComponentResource):
    """A drawn token in a Secret, with the certificate of the authority by which a scraper knows pods; and one key and
    certificate that all pods show scrapers, whatever their addresses.

    The token is none of the stack's pods', so it opens nothing but metrics. Both are read again when they change, so
    another one restarts nothing.
    """

    token: pulumi.Output[str]
    """What a scraper shows; a secret."""
    pods: Scraped

    def __init__(self, name: str, args: ScrapingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:Scraping", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.token = drawn.secret(f"{name}-token", redraw=args.section.redraw, opts=child)
        made = core.v1.Secret(
            f"{name}-secret",
            metadata=k.metadata("metrics-token", args.namespace, LABELS),
            string_data=pulumi.Output.secret({_TOKEN: self.token, AUTHORITY: args.certificates.authority}),
            opts=child,
        )
        shown = args.certificates.server(_KIND, [METRICS_HOST], LABELS)
        self.pods = Scraped(
            variables={"ARGUS_METRICS_PORT": str(k.METRICS_PORT), "ARGUS_METRICS_DIR": DIR},
            mounts=[k.mount(_VOLUME, DIR, read_only=True)],
            volumes=[k.secrets_volume(_VOLUME, [(made.metadata.name.apply(str), [_TOKEN]), (shown, None)])],
        )
        self.register_outputs({"token": self.token})
