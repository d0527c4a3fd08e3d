"""The certificates by which ZooKeeper's members know each other and the brokers (ADR 47)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components import kubernetes as k
from components.config import sections
from components.pipeline.certificates import SCRIPT, authority, public
from components.pipeline.kafka_grants import BROKER
from components.pipeline.kafka_identities import PAIR, Held, held, signed

DIR: Final = "/etc/argus-zookeeper"
"""Where a member, and a broker, has the certificate that it shows the other."""
QUORUM_DIR: Final = "/etc/argus-zookeeper-quorum"
"""Where a member has the certificate that it shows other members."""
MEMBER: Final = "zookeeper"


@dataclass(frozen=True, kw_only=True)
class ZookeeperIdentitiesArgs:
    """Arguments of ZookeeperIdentities."""

    namespace: pulumi.Input[str]
    hosts: Sequence[pulumi.Input[str]]
    """The names at which brokers, and tools in a member's pod, find members."""
    section: sections.PodSecrets


class ZookeeperIdentities(pulumi.ComponentResource):
    """Two private authorities of the stack, and the certificates that they have signed: one by which members and
    brokers know each other, and one by which members know each other, as no name is asked for there.

    Whoever has a certificate of the one may do everything at the clients' port, and of the other everything among
    members. So these authorities sign nothing else. They are made and renewed as Kafka's (KafkaIdentities).
    """

    members: Held
    brokers: Held
    public: dict[str, pulumi.Output[str]]
    """The certificates without their keys, as `zookeeper.KIND`."""

    def __init__(self, name: str, args: ZookeeperIdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:ZookeeperIdentities", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.public = {}
        clients = authority(f"{name}-authority", SCRIPT, "authority argus-zookeeper", opts=self._child)
        quorum = authority(f"{name}-quorum-authority", SCRIPT, "authority argus-zookeeper-quorum", opts=self._child)
        member = self._held("member", clients, MEMBER, DIR, args.hosts)
        quorum_member = self._held("quorum", quorum, MEMBER, QUORUM_DIR)
        self.members = Held(
            mounts=[*member.mounts, *quorum_member.mounts],
            volumes=[*member.volumes, *quorum_member.volumes],
            contents=[*member.contents, *quorum_member.contents],
        )
        self.brokers = self._held("kafka", clients, BROKER, DIR)
        self.register_outputs({})

    def _held(
        self,
        kind: str,
        signer: pulumi.Output[str],
        subject: str,
        folder: str,
        hosts: Sequence[pulumi.Input[str]] = (),
    ) -> Held:
        """A certificate of this name, for clients, and for a server at these hosts; pods have it in this folder."""
        redraw = self._args.section.redraw
        resource, secret = f"{self._name}-{kind}", f"zookeeper-{kind}"
        files = signed(f"{resource}-certificate", subject, hosts, authority=signer, redraw=redraw, opts=self._child)
        self.public[f"zookeeper.{kind}"] = public(files[PAIR])
        metadata = k.metadata(secret, self._args.namespace, k.labels(secret, "zookeeper-identity"))
        return held(f"{resource}-secret", metadata, files, folder=folder, volume=secret, opts=self._child)
