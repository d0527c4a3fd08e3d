"""The certificates by which Elasticsearch's nodes and clients know each other (ADR 48)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi

from components import kubernetes as k
from components.config import sections
from components.pipeline.certificates import SCRIPT, authority, public
from components.pipeline.kafka_identities import PAIR, Held, held, signed

DIR: Final = "/etc/argus-elasticsearch"
"""Where a pod has its certificate: PAIR and AUTHORITY, as for Kafka."""
VOLUME: Final = "elasticsearch-identity"
NODES: Final = "elasticsearch-nodes"
"""The name in the nodes' certificate, which is none of a client's."""


def secret_of(identity: str) -> str:
    """The name of the Secret with the certificate of a client, or of NODES. Some names begin like it already."""
    return f"elasticsearch-{identity.removeprefix('elasticsearch-')}-identity"


@dataclass(frozen=True, kw_only=True)
class Access(Held):
    """What a pod needs to ask Elasticsearch as somebody."""

    url: pulumi.Output[str]
    """The nodes' URL."""
    variables: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """What an app of Argus is told."""


@dataclass(frozen=True, kw_only=True)
class ElasticsearchIdentitiesArgs:
    """Arguments of ElasticsearchIdentities."""

    namespace: pulumi.Input[str]
    host: pulumi.Input[str]
    """The name at which clients find the nodes."""
    section: sections.PodSecrets


class ElasticsearchIdentities(pulumi.ComponentResource):
    """A private authority of the stack, and a certificate for the nodes and for each name that a client shows.

    They are made and renewed as Kafka's (KafkaIdentities).
    """

    nodes: Held
    public: dict[str, pulumi.Output[str]]
    """The certificates that were made so far, without their keys, as `elasticsearch.IDENTITY`."""

    def __init__(
        self, name: str, args: ElasticsearchIdentitiesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("argus:pipeline:ElasticsearchIdentities", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._authority = authority(f"{name}-authority", SCRIPT, "authority argus-elasticsearch", opts=self._child)
        self.public = {}
        self.nodes = self._held(NODES, args.namespace, kind="server", hosts=[args.host])
        self.register_outputs({})

    def client(self, identity: str, namespace: pulumi.Input[str] | None = None) -> Held:
        """The certificate of this client; its namespace is the pipeline's, unless given."""
        return self._held(identity, self._args.namespace if namespace is None else namespace)

    def _held(
        self,
        subject: str,
        namespace: pulumi.Input[str],
        *,
        kind: str = "identity",
        hosts: list[pulumi.Input[str]] | None = None,
    ) -> Held:
        files = signed(
            f"{self._name}-{subject}-certificate",
            subject,
            hosts or [],
            kind=kind,
            authority=self._authority,
            redraw=self._args.section.redraw,
            opts=self._child,
        )
        self.public[f"elasticsearch.{subject}"] = public(files[PAIR])
        secret = secret_of(subject)
        metadata = k.metadata(secret, namespace, k.labels(secret, "elasticsearch-identity"))
        name = f"{self._name}-{subject}-secret"
        return held(name, metadata, files, folder=DIR, volume=VOLUME, opts=self._child)
