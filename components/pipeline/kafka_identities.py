"""The certificates by which Kafka's brokers and clients know each other (ADR 39)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_kubernetes import core, meta

from components import kubernetes as k
from components.autoscaling import KafkaIdentity
from components.config import sections
from components.pipeline.certificates import BLOCK, SCRIPT, authority, public, yearly

DIR: Final = "/etc/argus-kafka"
"""Where a pod has its certificate."""
PAIR: Final = "tls.pem"
"""The file with the private key and its certificate, which librdkafka, Go and Java read as it is."""
AUTHORITY: Final = "ca.pem"
"""The file with the certificate of the authority that signed those of all others."""
VOLUME: Final = "kafka-identity"


@dataclass(frozen=True, kw_only=True)
class Held:
    """The certificates that a pod has."""

    mounts: Sequence[core.v1.VolumeMountArgs] = ()
    volumes: Sequence[core.v1.VolumeArgs] = ()
    contents: k.Contents = ()
    """What restarts the pods when it changes: they read a certificate only when they start."""


@dataclass(frozen=True, kw_only=True)
class Access(Held):
    """What a pod needs to connect to the brokers as somebody; nothing where its stack connects in plain."""

    variables: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    keda: KafkaIdentity | None = None
    """The same for KEDA, which reads the Secret itself."""


@dataclass(frozen=True, kw_only=True)
class KafkaIdentitiesArgs:
    """Arguments of KafkaIdentities."""

    namespace: pulumi.Input[str]
    transport: sections.Transport
    section: sections.PodSecrets


class KafkaIdentities(pulumi.ComponentResource):
    """A private authority of the stack, and a certificate for each name that a broker or client shows.

    The computer that runs Pulumi makes them with openssl; the private keys are in the stack's state, encrypted, and in
    a Secret each. Certificates are made anew with the first update of a year, and where `podSecrets.redraw` changes;
    they are valid for three years, and an older one stays valid, so pods may get a new one in any order. The authority
    lasts for twenty years and is not made anew.
    """

    public: dict[str, pulumi.Output[str]]
    """The certificates that were made so far, without their keys, as `kafka.IDENTITY`."""

    def __init__(self, name: str, args: KafkaIdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:pipeline:KafkaIdentities", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._made: dict[str, Access] = {}
        self.public = {}
        self._authority = authority(f"{name}-authority", SCRIPT, "authority", opts=self._child)
        self.register_outputs({})

    def client(self, identity: str, namespace: pulumi.Input[str] | None = None) -> Access:
        """What pods of this name need to connect to the brokers; their namespace is the pipeline's, unless given."""
        if self._args.transport not in sections.TRANSPORTS_OF_CLIENTS:
            return Access()
        return self.access(identity, namespace=namespace)

    def files_of_client(self, identity: str) -> Mapping[str, pulumi.Output[str]]:
        """The files for a client that has them in a Secret of its own; none where clients connect in plain."""
        return self.files(identity) if self._args.transport in sections.TRANSPORTS_OF_CLIENTS else {}

    def access(
        self,
        identity: str,
        hosts: Sequence[pulumi.Input[str]] = (),
        *,
        namespace: pulumi.Input[str] | None = None,
    ) -> Access:
        """The certificate of this name, in a Secret, which is also good for a server at these hosts."""
        if identity not in self._made:
            files = self.files(identity, hosts)
            where = self._args.namespace if namespace is None else namespace
            made = core.v1.Secret(
                f"{self._name}-{identity}-secret",
                metadata=k.metadata(f"kafka-{identity}", where, k.labels(identity, "kafka-identity")),
                string_data=dict(files),
                opts=self._child,
            )
            secret = made.metadata.name.apply(str)
            self._made[identity] = Access(
                variables={"ARGUS_KAFKA_TLS_DIR": DIR},
                mounts=[k.mount(VOLUME, DIR, read_only=True)],
                volumes=[k.secret_volume(secret, VOLUME)],
                contents=[files],
                keda=KafkaIdentity(secret=secret, authority=AUTHORITY, pair=PAIR),
            )
        return self._made[identity]

    def files(self, identity: str, hosts: Sequence[pulumi.Input[str]] = ()) -> dict[str, pulumi.Output[str]]:
        """PAIR and AUTHORITY of a new certificate, as secrets."""
        files = signed(
            f"{self._name}-{identity}-certificate",
            identity,
            hosts,
            authority=self._authority,
            redraw=self._args.section.redraw,
            opts=self._child,
        )
        self.public[f"kafka.{identity}"] = public(files[PAIR])
        return files


def signed(
    name: str,
    subject: str,
    hosts: Sequence[pulumi.Input[str]],
    *,
    authority: pulumi.Input[str],
    redraw: str,
    opts: pulumi.ResourceOptions,
    kind: str = "identity",
) -> dict[str, pulumi.Output[str]]:
    """PAIR and AUTHORITY of a certificate of this subject, which is also good for a server at these hosts, as secrets;
    `name` is the resource's, `kind` is that of certificate.sh, and the certificate is made anew as `yearly` says."""
    arguments = pulumi.Output.all(*hosts).apply(lambda names: " ".join([kind, subject, *map(_quoted, names)]))
    pem = yearly(name, arguments, authority=authority, redraw=redraw, opts=opts)
    blocks = pem.apply(BLOCK.findall)
    return {
        PAIR: pulumi.Output.secret(blocks.apply(lambda found: "".join(found[:2]))),
        AUTHORITY: pulumi.Output.secret(blocks.apply(lambda found: "".join(found[2:]))),
    }


def held(
    name: str,
    metadata: meta.v1.ObjectMetaArgs,
    files: Mapping[str, pulumi.Output[str]],
    *,
    folder: str,
    volume: str,
    opts: pulumi.ResourceOptions,
) -> Held:
    """These files in a new Secret (resource `name`), which a pod has in this folder by a volume of this name."""
    made = core.v1.Secret(name, metadata=metadata, string_data=dict(files), opts=opts)
    return Held(
        mounts=[k.mount(volume, folder, read_only=True)],
        volumes=[k.secret_volume(made.metadata.name.apply(str), volume)],
        contents=[files],
    )


def _quoted(host: str) -> str:
    return f"'{host}'"
