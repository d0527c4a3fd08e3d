"""The key that encrypts Secrets in etcd: another name in the stack is another key."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import ClusterArgs
from components.cluster.machine import script, script_from_here


class SecretsKey(pulumi.ComponentResource):
    """Rotates the key of Secrets on all control planes when `cluster.secretsKey` names another one.

    Each API server is started anew, one at a time, so the API answers all the while. No delete: the keys leave with
    the control planes.
    """

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:SecretsKey", name, {}, opts)
        hosts, user = [machine.host for machine in args.machines.control_planes], args.ssh.options.user
        key = args.cluster.secrets_key
        remote.command_from_here(
            f"{name}-rotated",
            ssh=args.ssh,
            hosts=[*hosts, args.endpoint],
            create=script_from_here(
                "rotate_encryption.sh",
                key=key,
                hosts=hosts,
                endpoint=args.endpoint,
                read=script("encryption_read.sh").render(user),
                put=script("encryption_put.sh").render(user),
                rewrite=script("encryption_rewrite.sh", key=key).render(user),
            ),
            secret=True,
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m")),
        )
        self.register_outputs({})
