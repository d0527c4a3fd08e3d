"""Reports all problems of all machines at once, before any machine is changed."""

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
    """At least one machine does not meet the requirements; the message has one line per problem."""


@dataclass(frozen=True, kw_only=True)
class PreflightArgs:
    """The machines, and their requirements."""

    control_planes: Sequence[Machine]
    workers: Sequence[Machine]
    ssh: remote.Ssh
    endpoint: str
    endpoint_port: int
    minimum_memory_mib: int
    minimum_disk_gib: int
    kubernetes_version: str
    pods: Mapping[str, int] = field(default_factory=dict)
    """The memory (MiB) of each pod that must fit on some machine, by the configuration key that sets it."""
    hosts: Sequence[Machine] = ()
    """The machines that run the pipeline's pods."""
    running_version: pulumi.Input[str | None] = None
    """The Kubernetes version that the cluster runs now; None where there is no cluster yet."""
    network: NetworkKind = "built-in"
    running_network: pulumi.Input[str | None] = None
    """The kind of network that the cluster uses now; None where the cluster is older than this option."""
    looks: pulumi.Input[Mapping[str, str]] = field(default_factory=dict)
    """The value of `Preflight.looks` after the stack's last complete update."""


class Preflight(pulumi.ComponentResource):
    """Reads the host key and facts of all machines in parallel.

    Every update checks a machine until it is a member. A member is checked again only when the requirements or the
    script change, or when argus:ssh.mend changes.
    """

    passed: Mapping[str, pulumi.Output[Sequence[pulumi.Resource]]]
    """Resources to depend on, by machine name; each fails when any machine does not meet the requirements."""
    looks: pulumi.Output[Mapping[str, str]]
    """The last check of each machine, by its address: its time (Unix seconds) and a digest of what was asked."""
    known: Sequence[pulumi.Resource]
    """Depend on these to run after all host keys are known."""
    ssh: remote.Ssh
    """SSH settings for machines that passed, with each one's host key; the endpoint accepts any control plane's key."""

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
        # All depend on one verdict: if each machine depended on each, dependencies would grow with their square.
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
    """Collects the machines that do not answer, with the reasons.

    The engine ends the program at the first command that fails, which would hide the problems of other machines. So
    each failure is held back until all machines have answered, or until failures occupy all parallel operations of the
    engine. Where the engine does not support error hooks, the reasons stay unknown.
    """

    hooks: Mapping[str, pulumi.ErrorHook]
    """Hooks for the first command on each machine, by the machine's name."""

    def __init__(self, name: str, machines: Sequence[Machine]) -> None:
        self._reasons: dict[str, str] = {}
        self._failed = {machine.name: asyncio.Event() for machine in machines}
        self._no_more = asyncio.Event()
        self._all_heard = asyncio.Event()
        held = self._failed if engine.has_error_hooks() else ()
        self.hooks = {each: pulumi.ErrorHook(f"{name}-{each}-failed", partial(self._hold, each)) for each in held}

    async def reason(self, machine: str, answer: asyncio.Future[Any]) -> str | None:
        """Wait for the machine; return None if it answered, the reason if it failed, and "" if it was not heard."""
        events = [asyncio.ensure_future(each.wait()) for each in (self._failed[machine], self._no_more)]
        await asyncio.wait({answer, *events}, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()
        if answer.done():
            return None if answer.exception() is None else "see its error above"
        return self._reasons.get(machine, "")

    def let_go(self) -> None:
        """All machines were heard: release the failures that were held back, which end the program."""
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
    """The earlier check of this address, if it asked for the same; else the new one."""
    earlier = before.get(address, "")
    return earlier if earlier.partition(" ")[2] == look.partition(" ")[2] else look


async def _look(
    machine: Machine, output: pulumi.Output[str], known: pulumi.Output[str], port: int, silent: _Silent
) -> Facts | str | None:
    """A machine's facts, its problem if it does not answer, or None if nothing is known yet."""
    answer, key = asyncio.ensure_future(output.future()), asyncio.ensure_future(known.future())
    reason = await silent.reason(machine.name, answer)
    if reason is None:
        text = await answer
        return Facts.parse(text) if text else None
    if not reason:
        return None
    # If reading the host key failed, there is no key to compare with.
    given = key.result() if key.done() and key.exception() is None else None
    return (await mismatch(machine.address, port, given) if given else None) or no_answer(reason)


async def _check(
    args: PreflightArgs,
    outputs: Mapping[str, pulumi.Output[str]],
    keys: Mapping[str, pulumi.Output[str]],
    required: pulumi.Output[Requirements],
    silent: _Silent,
) -> bool:
    """Wait until every machine has answered or failed, then report all problems. Raises PreflightError."""
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
            # Once released, these failures end the program before an exception raised here would show: report first.
            unheard = ", ".join(name for name, each in seen.items() if each is None)
            pulumi.log.error(f"{text}\nNot heard, because so many others do not answer: {unheard}" if unheard else text)
    finally:
        silent.let_go()
    if silent.hooks:
        await asyncio.gather(*(each.future() for each in lost))
    if found:
        raise PreflightError(text)
    return True
