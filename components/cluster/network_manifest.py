"""The pods' network by a manifest of the user's own, such as Calico's or Cilium's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster.machine import Machine, script


@dataclass(frozen=True, kw_only=True)
class NetworkManifestArgs:
    """The machines that the network is to connect, and its manifest's text."""

    machines: Sequence[Machine]
    ssh: remote.Ssh
    endpoint: str
    manifest: str


class NetworkManifest(pulumi.ComponentResource):
    """Applies the manifest at the endpoint, as soon as the machines are nodes, and waits until all of them are ready.

    Not by Pulumi's Kubernetes plugin: that would take the network away before the last pod, whose machine is yet to be
    drained over it. It is undone with the nodes, so no delete; the files of its plugins by ContainerRuntime's undo.
    An object that a later manifest no longer has stays: it does not own what once was in it.

    The text is a secret: some (Cilium's) hold keys. Its digest in the script is what shows that it changed.
    """

    ready: Sequence[pulumi.Resource]
    """To depend on: the network is there on every machine."""

    def __init__(self, name: str, args: NetworkManifestArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:NetworkManifest", name, {}, opts)
        applied = remote.ask(
            f"{name}-applied",
            host=args.endpoint,
            ssh=args.ssh,
            create=script(
                "network_manifest.sh",
                digest=hashlib.sha256(args.manifest.encode()).hexdigest()[:16],
                nodes=[machine.name for machine in args.machines],
            ),
            stdin=pulumi.Output.secret(args.manifest),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="20m", update="20m")),
        )
        self.ready = [applied.command]
        self.register_outputs({})
