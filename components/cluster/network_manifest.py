"""A pod network from the user's manifest, such as Calico's or Cilium's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pulumi

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.machine import script
from components.config import manifest


class NetworkManifest(pulumi.ComponentResource):
    """Applies the manifest at the endpoint once the machines are nodes, and waits until all nodes are ready.

    It does not use Pulumi's Kubernetes plugin, which would delete the network before machines are drained over it. It
    has no delete: its objects go with the nodes, and ContainerRuntime's undo removes the files of its CNI plugins.
    An object that a later manifest no longer contains stays in the cluster.

    The text is a secret, because some manifests (Cilium's) hold keys. The script has its digest, to show changes.
    """

    ready: Sequence[pulumi.Resource]
    """Depend on these to run after the network works on every machine."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:NetworkManifest", name, {}, opts)
        source = args.cluster.network.manifest
        assert source is not None
        text = manifest.read(source)
        applied = remote.ask(
            f"{name}-applied",
            host=args.endpoint,
            ssh=args.ssh,
            create=script(
                "network_manifest.sh",
                digest=hashlib.sha256(text.encode()).hexdigest()[:16],
                nodes=[machine.name for machine in args.all_machines],
            ),
            stdin=pulumi.Output.secret(text),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="20m", update="20m")),
        )
        self.ready = [applied.command]
        self.register_outputs({})
