"""The administrator's kubeconfig."""

from __future__ import annotations

from datetime import UTC, datetime

import pulumi

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.machine import script


class Kubeconfig(pulumi.ComponentResource):
    """Reads the administrator's kubeconfig from the control plane that holds the endpoint."""

    content: pulumi.Output[str]
    """The kubeconfig, a secret; its server is the endpoint."""

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
        self.register_outputs({"content": self.content})


def _quarter(now: datetime) -> str:
    return f"{now.year}-{(now.month + 2) // 3}"
