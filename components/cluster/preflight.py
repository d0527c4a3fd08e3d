"""All machines' problems at once, before any of them is changed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pulumi

from components import engine, remote
from components.cluster import network, upgrade
from components.cluster.facts import Facts, Requirements, no_answer, problems
from components.cluster.host_keys import HostKeys, HostKeysArgs, explained, mismatch
from components.cluster.kubeadm import API_PORT
from components.cluster.machine import Machine, script
from components.cluster.network import NetworkKind

_NODE_PORTS = (10250,)
_CONTROL_PLANE_PORTS = (2379, 2380, API_PORT, 10257, 10259)


class PreflightError(pulumi.RunError):
    """Some machine is not fit; the message has a line for each problem."""


@dataclass(frozen=True, kw_only=True)
class PreflightArgs:
    """The machines, and what each must have."""

    control_planes: Sequence[Machine]
    workers: Sequence[Machine]
    ssh: remote.Ssh
    endpoint: str
    endpoint_port: int
    minimum_memory_mib: int
    minimum_disk_gib: int
    kubernetes_version: str
    pods: Mapping[str, int] = field(default_factory=dict)
    """The memory (MiB) that some machine must have for a pod, by the key of the configuration that says it."""
    hosts: Sequence[Machine] = ()
    """The machines that run the pipeline's pods."""
    running_version: pulumi.Input[str | None] = None
    """The version that the stack's cluster has had so far, if there is one."""
    network: NetworkKind = "built-in"
    running_network: pulumi.Input[str | None] = None
    """The kind that the stack's cluster has had so far; None where it was made before there was a choice."""
    looks: pulumi.Input[Mapping[str, str]] = field(default_factory=dict)
    """What `Preflight.looks` was when the stack was last whole."""


class Preflight(pulumi.ComponentResource):
    """Reads key and facts of every machine, side by side.

    A machine is looked at in every update until one has made it a member. A member is asked again only when
    what is asked of it has changed, or for another word in argus:ssh.mend.
    """

    passed: Mapping[str, pulumi.Output[Sequence[pulumi.Resource]]]
    """To depend on, by the machine's name: each fails when any machine is not fit."""
    looks: pulumi.Output[Mapping[str, str]]
    """The last look at each machine, by its address: when (seconds since the epoch), and a digest of what was asked."""
    known: Sequence[pulumi.Resource]
    """To depend on: every machine has shown its host key, or need not."""
    ssh: remote.Ssh
    """How the machines are reached that have passed, each known by its host key, and the endpoint by those of the
    control planes."""

    def __init__(self, name: str, args: PreflightArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Preflight", name, {}, opts)
        machines = (*args.control_planes, *args.workers)
        silent = _Silent(name, machines)
        host_keys = HostKeys(
            f"{name}-host-key",
            HostKeysArgs(
                control_planes=args.control_planes,
                workers=args.workers,
                port=args.ssh.port,
                on_error=silent.hooks,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        keys, self.known = host_keys.keys, host_keys.read
        now, before = int(time.time()), pulumi.Output.from_input(args.looks)
        looks: dict[str, pulumi.Output[str]] = {}
        facts: dict[str, pulumi.Output[str]] = {}
        commands: dict[str, pulumi.Resource] = {}
        for machine in machines:
            ports = list(_NODE_PORTS)
            if machine in args.control_planes:
                ports += [*_CONTROL_PLANE_PORTS, args.endpoint_port]
            known = {machine.address: [keys[machine.name]]}
            facts_script = script("facts.sh", virtual_ip=args.endpoint, ports=[str(port) for port in ports])
            asked = _digest(facts_script.render(mend=args.ssh.mend), args.minimum_memory_mib, args.minimum_disk_gib)
            looks[machine.name] = before.apply(partial(_look_again, machine.address, f"{now} {asked}"))
            command = remote.command(
                f"{name}-{machine.name}",
                host=machine.address,
                ssh=replace(args.ssh, host_keys=known, on_error=silent.hooks.get(machine.name)),
                create=facts_script,
                stdin=looks[machine.name],
                dial_attempts=2,
                opts=pulumi.ResourceOptions(parent=self),
            )
            commands[machine.name] = command
            facts[machine.name] = command.stdout
        self.looks = pulumi.Output.all(**{machine.address: looks[machine.name] for machine in machines})
        required = pulumi.Output.all(**looks).apply(
            lambda looks: Requirements(
                endpoint=args.endpoint,
                endpoint_port=args.endpoint_port,
                minimum_memory_mib=args.minimum_memory_mib,
                minimum_disk_gib=args.minimum_disk_gib,
                addresses={machine.name: machine.address for machine in machines},
                pods=args.pods,
                hosts=[machine.name for machine in args.hosts],
                accepted=[name for name, look in looks.items() if int(look.partition(" ")[0]) != now],
            )
        )
        verdict: pulumi.Output[bool] = pulumi.Output.from_input(_check(args, facts, keys, required, silent))
        # All wait for the one verdict; a dependency of each machine on each would grow with their square.
        self.passed = {name: _after(verdict, command) for name, command in commands.items()}
        passed_keys = {machine.address: [_known(verdict, keys[machine.name])] for machine in machines}
        self.ssh = replace(
            args.ssh,
            host_keys={
                **passed_keys,
                args.endpoint: [key for machine in args.control_planes for key in passed_keys[machine.address]],
            },
            holders={args.endpoint: [machine.address for machine in args.control_planes]},
            on_error=explained(f"{name}-explained", machines, args.ssh.port),
        )
        self.register_outputs({})


def _after(verdict: pulumi.Output[bool], command: pulumi.Resource) -> pulumi.Output[Sequence[pulumi.Resource]]:
    return verdict.apply(lambda _: [command])


def _known(verdict: pulumi.Output[bool], key: pulumi.Output[str]) -> pulumi.Output[str]:
    return verdict.apply(lambda _: key)


class _Silent:
    """The machines that do not answer, and why.

    The engine ends the program at the first command that fails, and with it what the other machines have to say. So
    each failure is held back until all were heard, or until all that the engine does at a time are failures. Where the
    engine has no hooks for that, no reason is known either.
    """

    hooks: Mapping[str, pulumi.ErrorHook]
    """For the commands that are the first to speak to a machine, by its name."""

    def __init__(self, name: str, machines: Sequence[Machine]) -> None:
        self._reasons: dict[str, str] = {}
        self._failed = {machine.name: asyncio.Event() for machine in machines}
        self._no_more = asyncio.Event()
        self._all_heard = asyncio.Event()
        held = self._failed if engine.has_error_hooks() else ()
        self.hooks = {each: pulumi.ErrorHook(f"{name}-{each}-failed", partial(self._hold, each)) for each in held}

    async def reason(self, machine: str, answer: asyncio.Future[Any]) -> str | None:
        """Waits for the machine's answer, or for why there is none: that is returned, empty where it was not heard."""
        events = [asyncio.ensure_future(each.wait()) for each in (self._failed[machine], self._no_more)]
        await asyncio.wait({answer, *events}, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()
        if answer.done():
            return None if answer.exception() is None else "see its error above"
        return self._reasons.get(machine, "")

    def let_go(self) -> None:
        """All were heard: what was held back fails now, and ends the program."""
        self._all_heard.set()

    async def _hold(self, machine: str, failed: pulumi.ErrorHookArgs) -> bool:
        self._reasons[machine] = failed.errors[0].strip().splitlines()[-1].removeprefix("error: ")
        self._failed[machine].set()
        if len(self._reasons) >= engine.parallel_operations():
            self._no_more.set()
        await self._all_heard.wait()
        return False


def _digest(*asked: str | int) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


def _look_again(address: str, look: str, before: Mapping[str, str]) -> str:
    """The earlier look, if it was at this address and for the same; else this one."""
    earlier = before.get(address, "")
    return earlier if earlier.partition(" ")[2] == look.partition(" ")[2] else look


async def _look(
    machine: Machine, output: pulumi.Output[str], known: pulumi.Output[str], port: int, silent: _Silent
) -> Facts | str | None:
    """A machine's facts, or its problem where it does not answer; None where nothing is known of it yet."""
    answer, key = asyncio.ensure_future(output.future()), asyncio.ensure_future(known.future())
    reason = await silent.reason(machine.name, answer)
    if reason is None:
        text = await answer
        return Facts.parse(text) if text else None
    if not reason:
        return None
    # A machine that has not even shown a key has none to compare.
    given = key.result() if key.done() and key.exception() is None else None
    return (await mismatch(machine.address, port, given) if given else None) or no_answer(reason)


async def _check(
    args: PreflightArgs,
    outputs: Mapping[str, pulumi.Output[str]],
    keys: Mapping[str, pulumi.Output[str]],
    required: pulumi.Output[Requirements],
    silent: _Silent,
) -> bool:
    """Wait for every machine, also for those that do not answer, then speak once."""
    try:
        running = await pulumi.Output.from_input(args.running_version).future()
        has = await pulumi.Output.from_input(args.running_network).future() or (running and "built-in")
        if reason := upgrade.refusal(running, args.kubernetes_version) or network.refusal(has, args.network):
            raise PreflightError(f"no machine was changed: {reason}")
        machines = (*args.control_planes, *args.workers)
        looks = (_look(each, outputs[each.name], keys[each.name], args.ssh.port, silent) for each in machines)
        seen = dict(zip(outputs, await asyncio.gather(*looks), strict=True))
        answers = {name: each for name, each in seen.items() if each is not None}
        needed = await required.future()
        found = problems(answers, needed) if needed else []
        text = "no machine was changed, because\n  " + "\n  ".join(found)
        lost = [outputs[name] for name, each in seen.items() if isinstance(each, str)]
        if silent.hooks and lost:
            # They end the program once they are let go, and would do so before an exception that is raised here.
            unheard = ", ".join(name for name, each in seen.items() if each is None)
            pulumi.log.error(f"{text}\nNot heard, because so many others do not answer: {unheard}" if unheard else text)
    finally:
        silent.let_go()
    if silent.hooks:
        await asyncio.gather(*(each.future() for each in lost))
    if found:
        raise PreflightError(text)
    return True
