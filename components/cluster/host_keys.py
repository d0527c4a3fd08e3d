"""By which SSH host key each machine is known: the one in the configuration, or the one that it shows first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pulumi
from pulumi_command import local

from components import engine, ssh_keys
from components.cluster.machine import Machine, script_from_here

_REFUSALS: Final = ("ssh: host key mismatch", "ssh: no common algorithm for host key")
"""What pulumi-command says where the server has another key, or none of that type."""
_SCAN_SECONDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class HostKeysArgs:
    """The machines, and where their sshd listens."""

    control_planes: Sequence[Machine]
    workers: Sequence[Machine]
    port: int
    on_error: Mapping[str, pulumi.ErrorHook]
    """Told when a machine shows no key, by the machine's name; empty where the engine knows no such hooks."""


class HostKeys(pulumi.ComponentResource):
    """Reads the keys of the machines that the configuration gives none for, once, side by side.

    What was read is kept in Pulumi's state, and is never read again as long as the machine keeps its name and address:
    an update prints what is known. It does not own the checks; those are made by whoever connects.
    """

    keys: Mapping[str, pulumi.Output[str]]
    """By the machine's name."""
    read: Sequence[pulumi.Resource]
    """To depend on: what is read from machines is read."""

    def __init__(self, name: str, args: HostKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:HostKeys", name, {}, opts)
        # Whoever has the endpoint is asked for one kind of key, so all control planes are known by the same.
        given = [ssh_keys.kind(machine.host_key) for machine in args.control_planes if machine.host_key]
        wanted = {machine.name: given[0] for machine in args.control_planes if given}
        keys: dict[str, pulumi.Output[str]] = {}
        commands: list[pulumi.Resource] = []
        for machine in (*args.control_planes, *args.workers):
            if machine.host_key is not None:
                keys[machine.name] = pulumi.Output.from_input(machine.host_key)
                continue
            script = script_from_here("host_keys.sh", node=machine.name, host=machine.address, port=args.port)
            hook = args.on_error.get(machine.name)
            command = local.Command(
                # Another address is another machine: it is another resource, and its key is read.
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


def explained(name: str, machines: Sequence[Machine], port: int) -> pulumi.ErrorHook | None:
    """Says what a failed command does not, where its machine shows another host key: which, and what to do.

    None where the engine knows no such hooks: then the plugin's own words are all there is.
    """
    names = {machine.address: machine.name for machine in machines}

    async def explain(failed: pulumi.ErrorHookArgs) -> bool:
        if failed.new_inputs is not None and any(refusal in failed.errors[0] for refusal in _REFUSALS):
            connection: dict[str, str] = await pulumi.Output.from_input(failed.new_inputs["connection"]).future() or {}
            host = connection["host"]
            if problem := await mismatch(host, port, connection["hostKey"]):
                pulumi.log.error(f"{names.get(host, host)} ({host}) {problem}")
        return False

    return pulumi.ErrorHook(name, explain) if engine.has_error_hooks() else None


async def mismatch(address: str, port: int, known: str) -> str | None:
    """What is wrong with the host keys that an address shows; None where the known one, or none, is among them."""
    shown = await _shown(address, port)
    return None if not shown or known in shown else ssh_keys.another_key(known, shown)


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
