"""Snapshots of etcd, and how to restore one."""

from __future__ import annotations

import pulumi

from components import remote
from components.cluster.args import MachineArgs
from components.cluster.machine import program, script


class Backup(pulumi.ComponentResource):
    """A timer that takes snapshots of etcd on one control plane, and `restore-etcd` for when etcd's majority is lost.

    A snapshot holds every Kubernetes object, but none of the pipeline's data (frames and results), and not the keys
    that open its Secrets. Copies elsewhere are encrypted; the cluster's keys are a copy of their own.
    """

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Backup", name, {}, opts)
        options = args.backup
        remote.command(
            f"{name}-scheduled",
            host=args.machine.host,
            ssh=args.ssh,
            create=script(
                "backup.sh",
                schedule=options.schedule,
                directory=options.directory,
                keep=options.keep,
                copy_to=options.copy_to or "",
                copy_host_key=options.copy_host_key or "",
                recipients=options.recipients,
                key_recipients=options.openers_of_keys,
                tool=program("etcd_tool.sh"),
                backup=program("backup_etcd.sh"),
                restore=program("restore_etcd.sh"),
            ),
            stdin=pulumi.Output.secret(options.copy_key.get_secret_value()) if options.copy_key else None,
            secret=options.copy_key is not None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
