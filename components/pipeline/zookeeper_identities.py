"""The certificates by which ZooKeeper's members know each other and the brokers (ADR 47)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_kubernetes import core

from components import kubernetes as k
from components.config import sections
from components.pipeline.certificates import SCRIPT, authority, public
from components.pipeline.kafka_grants import BROKER
from components.pipeline.kafka_identities import PAIR, Held, signed

DIR: Final = "/etc/argus-zookeeper"
"""Where a member, and a broker, has the certificate that it shows the other."""
QUORUM_DIR: Final = "/etc/argus-zookeeper-quorum"
"""Where a member has the certificate that it shows other members."""
MEMBER: Final = "zookeeper"


@dataclass(frozen=True, kw_only=True)
class _Signed:
    """A certificate, as the volume of a Secret."""

    volume: str
    secret: pulumi.Output[str]
    files: Mapping[str, pulumi.Output[str]]


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
        member = self._signed("member", clients, MEMBER, args.hosts)
        self.members = _held({DIR: member, QUORUM_DIR: self._signed("quorum", quorum, MEMBER)})
        self.brokers = _held({DIR: self._signed("kafka", clients, BROKER)})
        self.register_outputs({})

    def _signed(
        self, kind: str, signer: pulumi.Output[str], subject: str, hosts: Sequence[pulumi.Input[str]] = ()
    ) -> _Signed:
        """A certificate of this name, for clients, and for a server at these hosts."""
        redraw = self._args.section.redraw
        resource, secret = f"{self._name}-{kind}", f"zookeeper-{kind}"
        files = signed(f"{resource}-certificate", subject, hosts, authority=signer, redraw=redraw, opts=self._child)
        self.public[f"zookeeper.{kind}"] = public(files[PAIR])
        made = core.v1.Secret(
            f"{resource}-secret",
            metadata=k.metadata(secret, self._args.namespace, k.labels(secret, "zookeeper-identity")),
            string_data=dict(files),
            opts=self._child,
        )
        return _Signed(volume=secret, secret=made.metadata.name.apply(str), files=files)


def _held(certificates: Mapping[str, _Signed]) -> Held:
    """These certificates, by the folders in which a pod has them."""
    return Held(
        mounts=[k.mount(each.volume, folder, read_only=True) for folder, each in certificates.items()],
        volumes=[k.secret_volume(each.secret, each.volume) for each in certificates.values()],
        contents=[each.files for each in certificates.values()],
    )
