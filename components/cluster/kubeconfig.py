"""The administrator's kubeconfig."""

from __future__ import annotations

from datetime import UTC, datetime

import pulumi

from components import engine, remote
from components.cluster.args import ClusterArgs
from components.cluster.machine import script

_AGAIN = "\n# that of the last update; this one reads it again\n"


class Kubeconfig(pulumi.ComponentResource):
    """Reads the administrator's kubeconfig from the control plane that holds the endpoint."""

    content: pulumi.Output[str]
    """The kubeconfig, a secret; its server is the endpoint."""
    for_providers: pulumi.Output[str]
    """The same, but in a preview in which it is to be read again it is that of the last update, with a comment.

    The engine asks a provider without a kubeconfig nothing, and claims an update of every object. With the last one the
    preview tells what the update changes, since it is the same cluster's. The comment makes a difference, because
    another kubeconfig may be read: so the preview claims the providers' update.
    """

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Kubeconfig", name, {}, opts)
        read = remote.ask(
            f"{name}-read",
            host=args.endpoint,
            ssh=args.ssh,
            create=script("kubeconfig.sh", quarter=_quarter(datetime.now(UTC))),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.content = read.stdout
        last = pulumi.Output.secret(args.running_kubeconfig)
        self.for_providers = engine.foreseen(self.content, last.apply(lambda text: f"{text}{_AGAIN}" if text else ""))
        self.register_outputs({"content": self.content})


def _quarter(now: datetime) -> str:
    return f"{now.year}-{(now.month + 2) // 3}"
