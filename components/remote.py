"""Shell scripts that run on machines over SSH: how they are rendered, and how they become Pulumi Commands.

A script lives in a `.sh` file beside its component and names its inputs at its top (`: "${NAME:?}"`). It is idempotent,
so that an edited script or value simply runs again; there are no `triggers`, because a trigger replaces the resource
and would first run its `delete` on a living machine.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pulumi
from pulumi_command import local, remote

_HERE = Path(__file__).parent
_KEY = "ARGUS_SSH_KEY"

Value = str | int | bool | Sequence[str]
"""What a script can be given: a list arrives as one line an item, a flag as `true` or `false`."""


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """How every machine is reached. A user other than root needs sudo without a password."""

    private_key: pulumi.Input[str]
    user: str = "root"
    port: int = 22
    mend: str = ""
    """Another word than last time, and every step runs again."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """Script files, run as one in their order, and the values they are given."""

    files: Sequence[Path]
    values: Mapping[str, Value]

    def render(self, user: str = "root", *, mend: str = "") -> str:
        """The command line that runs this script as root, every value quoted; nothing in it is secret."""
        assignments = [f"{name}={shlex.quote(_text(value))}" for name, value in self.values.items()]
        if mend:
            assignments.append(f"MEND={shlex.quote(mend)}")
        parts = ["set -euo pipefail", *assignments]
        parts += [_body(path) for path in self.files]
        return f"{'' if user == 'root' else 'sudo -n '}bash -c {shlex.quote(chr(10).join(parts))}"


def command(
    name: str,
    *,
    host: pulumi.Input[str],
    ssh: Ssh,
    create: Script | None,
    update: Script | None = None,
    delete: Script | None = None,
    stdin: pulumi.Input[str] | None = None,
    secret: bool = False,
    dial_attempts: int = 10,
    opts: pulumi.ResourceOptions,
) -> remote.Command:
    """A Command on `host`; with `secret`, nothing that it reads or prints reaches a log or the state in the clear.

    A `delete` must reach its host; what is undone on a machine, which may be dead by then, belongs to Removal.
    """
    if secret:
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(additional_secret_outputs=["stdin", "stdout", "stderr"])
        )
    return remote.Command(
        name,
        connection=remote.ConnectionArgs(
            host=host,
            port=ssh.port,
            user=ssh.user,
            private_key=pulumi.Output.secret(ssh.private_key),
            dial_error_limit=dial_attempts,
            per_dial_timeout=5,
        ),
        create=create.render(ssh.user, mend=ssh.mend) if create else None,
        update=update.render(ssh.user, mend=ssh.mend) if update else None,
        delete=delete.render(ssh.user) if delete else None,
        stdin=stdin,
        logging=remote.Logging.NONE if secret else None,
        add_previous_output_in_env=False,
        opts=opts,
    )


def command_from_here(
    name: str,
    *,
    ssh: Ssh,
    update: Script | None = None,
    delete: Script | None = None,
    triggers: Sequence[str] = (),
    opts: pulumi.ResourceOptions,
) -> local.Command:
    """A Command on the computer that runs Pulumi: its scripts reach several machines, dead ones too, with ssh.sh.

    It does nothing when it is made.
    """
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["environment"]))
    return local.Command(
        name,
        update=_from_here(update, ssh).render(mend=ssh.mend) if update else None,
        delete=_from_here(delete, ssh).render() if delete else None,
        environment={_KEY: pulumi.Output.secret(ssh.private_key)},
        triggers=list(triggers),
        add_previous_output_in_env=False,
        opts=opts,
    )


def _from_here(script: Script, ssh: Ssh) -> Script:
    values = {**script.values, "SSH_USER": ssh.user, "SSH_PORT": ssh.port}
    return Script(files=[_HERE / "ssh.sh", *script.files], values=values)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return "\n".join(value)


@cache
def _body(path: Path) -> str:
    return path.read_text(encoding="utf-8").removeprefix("#!/usr/bin/env bash\n").rstrip()
