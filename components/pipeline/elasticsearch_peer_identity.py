"""The certificate by which Elasticsearch's nodes know each other (ADR 60)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.pipeline.certificates import SCRIPT, authority, public
from components.pipeline.kafka_identities import PAIR, Held, signed

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
        made = core.v1.Secret(
            f"{name}-secret",
            metadata=k.metadata(SECRET, args.namespace, k.labels(SECRET, "elasticsearch-identity")),
            string_data=dict(files),
            opts=child,
        )
        self.held = Held(
            mounts=[k.mount(SECRET, DIR, read_only=True)],
            volumes=[k.secret_volume(made.metadata.name.apply(str), SECRET)],
            contents=[files],
        )
        self.public = {"elasticsearch.peers": public(files[PAIR])}
        self.register_outputs({})
