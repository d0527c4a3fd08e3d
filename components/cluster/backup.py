"""Snapshots of etcd, and how to restore one."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components import config, remote
from components.cluster.machine import Machine, program, script


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """One control plane, and the options of its backups."""

    machine: Machine
    ssh: remote.Ssh
    options: config.Backup


class Backup(pulumi.ComponentResource):
    """A timer that takes snapshots of etcd on one control plane, and `restore-etcd` for when etcd's majority is lost.

    A snapshot holds every Kubernetes object, but none of the pipeline's data (frames and results).
    """

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Backup", name, {}, opts)
        options = args.options
        remote.command(
            f"{name}-scheduled",
            host=args.machine.address,
            ssh=args.ssh,
            create=script(
                "backup.sh",
                schedule=options.schedule,
                directory=options.directory,
                keep=options.keep,
                copy_to=options.copy_to or "",
                tool=program("etcd_tool.sh"),
                backup=program("backup_etcd.sh"),
                restore=program("restore_etcd.sh"),
            ),
            stdin=pulumi.Output.secret(options.copy_key.get_secret_value()) if options.copy_key else None,
            secret=options.copy_key is not None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
