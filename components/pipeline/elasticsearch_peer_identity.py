"""The certificate by which Elasticsearch's nodes know each other (ADR 60)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from components import kubernetes as k
from components.config import sections
from components.pipeline.certificates import SCRIPT, authority, public
from components.pipeline.kafka_identities import PAIR, Held, held, signed

DIR: Final = "/etc/argus-elasticsearch-peers"
"""Where a node's pod has it: PAIR and AUTHORITY, as for Kafka."""
PEER: Final = "elasticsearch-peer"
"""The name in it, which a node asks for when it connects."""
SECRET: Final = f"{PEER}-identity"


@dataclass(frozen=True, kw_only=True)
class ElasticsearchPeerIdentityArgs:
    """Arguments of ElasticsearchPeerIdentity."""

    namespace: pulumi.Input[str]
    section: sections.PodSecrets


class ElasticsearchPeerIdentity(pulumi.ComponentResource):
    """A private authority of the stack, and the certificate of the nodes, which is all that it signs.

    Whoever has that certificate may do everything among nodes. It is made and renewed as Kafka's (KafkaIdentities).
    """

    held: Held
    public: Mapping[str, pulumi.Output[str]]
    """The certificate without its key, by name: `elasticsearch.peers`."""

    def __init__(
        self, name: str, args: ElasticsearchPeerIdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("argus:pipeline:ElasticsearchPeerIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        files = signed(
            f"{name}-certificate",
            PEER,
            [PEER],
            authority=authority(f"{name}-authority", SCRIPT, "authority argus-elasticsearch-peers", opts=child),
            redraw=args.section.redraw,
            opts=child,
        )
        metadata = k.metadata(SECRET, args.namespace, k.labels(SECRET, "elasticsearch-identity"))
        self.held = held(f"{name}-secret", metadata, files, folder=DIR, volume=SECRET, opts=child)
        self.public = {"elasticsearch.peers": public(files[PAIR])}
        self.register_outputs({})
