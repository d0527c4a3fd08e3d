"""The SSH host key of each machine: the configured one, or the one that the machine shows on first contact."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import pulumi
from pulumi_command import local

from components import engine, ssh_keys
from components.cluster.args import ClusterArgs
from components.cluster.machine import script_from_here
from components.config import Machine, Ssh

_REFUSALS: Final = ("ssh: host key mismatch", "ssh: no common algorithm for host key")
"""pulumi-command's errors where the server has another host key, or none of that type."""
_SCAN_SECONDS: Final = 5


class HostKeys(pulumi.ComponentResource):
    """Reads the host keys of machines that have none in the configuration, once, in parallel.

    Pulumi's state keeps the keys; they are never read again while the machine keeps its name and address, because the
    update command only prints the keys again. The keys are checked by the commands that connect, not here.
    """

    keys: Mapping[str, pulumi.Output[str]]
    """The host key of each machine, by its name."""
    read: Sequence[pulumi.Resource]
    """Depend on these to run after all keys have been read."""

    def __init__(
        self,
        name: str,
        args: ClusterArgs,
        *,
        on_error: Mapping[str, pulumi.ErrorHook],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`on_error` has hooks, by machine name, that are called when a machine shows no key."""
        super().__init__("argus:cluster:HostKeys", name, {}, opts)
        # Any control plane may hold the endpoint, and clients ask it for one type of key: all must have that type.
        control_planes = args.machines.control_planes
        given = [ssh_keys.kind(machine.host_key) for machine in control_planes if machine.host_key]
        wanted = {machine.name: given[0] for machine in control_planes if given}
        keys: dict[str, pulumi.Output[str]] = {}
        commands: list[pulumi.Resource] = []
        for machine in args.all_machines:
            if machine.host_key is not None:
                keys[machine.name] = pulumi.Output.from_input(machine.host_key)
                continue
            port = args.ssh.options.port
            script = script_from_here("host_keys.sh", node=machine.name, host=machine.host, port=port)
            hook = on_error.get(machine.name)
            command = local.Command(
                # Named by address, so that a machine at another address is a new resource and its key is read.
                f"{name}-{machine.name}-{machine.address}",
                create=script.render(),
                update='printf "%s\\n" "$PULUMI_COMMAND_STDOUT"',
                logging=local.Logging.STDERR,
                opts=pulumi.ResourceOptions(
                    parent=self, hooks=pulumi.ResourceHookBinding(on_error=[hook]) if hook else None
                ),
            )
            keys[machine.name] = command.stdout.apply(partial(_preferred, wanted.get(machine.name, "ECDSA")))
            commands.append(command)
        self.keys, self.read = keys, commands
        self.register_outputs({})


def _preferred(wanted: str, shown: str) -> str:
    return ssh_keys.preferred(shown.splitlines(), wanted)


def explained(name: str, machines: Sequence[Machine], ssh: Ssh) -> pulumi.ErrorHook | None:
    """A hook that explains a command that failed because its machine shows another host key, and says what to do.

    None where the engine does not support such hooks: then only the plugin's own error is shown.
    """
    names = {machine.host: machine.name for machine in machines}

    async def explain(failed: pulumi.ErrorHookArgs) -> bool:
        if failed.new_inputs is not None and any(refusal in failed.errors[0] for refusal in _REFUSALS):
            connection: dict[str, str] = await pulumi.Output.from_input(failed.new_inputs["connection"]).future() or {}
            host = connection["host"]
            if problem := await mismatch(host, ssh, connection["hostKey"]):
                pulumi.log.error(f"{names.get(host, host)} ({host}) {problem}")
        return False

    return pulumi.ErrorHook(name, explain) if engine.has_error_hooks() else None


async def mismatch(address: str, ssh: Ssh, expected: str) -> str | None:
    """The problem with the host keys that an address shows; None where it shows the expected key, or no key at all.

    None behind a bastion too, through which keys are not read.
    """
    shown = await _shown(address, ssh.port) if ssh.bastion is None else []
    return None if not shown or expected in shown else ssh_keys.another_key(expected, shown)


async def _shown(address: str, port: int) -> list[str]:
    types = ("-t", "ecdsa,ed25519")
    command = ("ssh-keyscan", "-T", str(_SCAN_SECONDS), "-p", str(port), *types, address)
    try:
        scan = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except FileNotFoundError:
        return []
    printed, _ = await scan.communicate()
    lines = [line.split() for line in printed.decode().splitlines() if not line.startswith("#")]
    return [" ".join(words[1:]) for words in lines if len(words) == 3]
