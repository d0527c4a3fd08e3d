"""Reports all problems of all machines at once, before any machine is changed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pulumi
from pulumi_command.remote import Command

from components import engine, remote
from components.cluster import container_runtime, disks, network, upgrade
from components.cluster.args import ClusterArgs
from components.cluster.facts import Facts, no_answer, not_understood, problems
from components.cluster.host_keys import HostKeys, explained, mismatch
from components.cluster.machine import script
from components.cluster.openings import listens_at
from components.config import Machine, Ssh


class PreflightError(pulumi.RunError):
    """At least one machine does not meet the requirements; the message has one line per problem."""


class Preflight(pulumi.ComponentResource):
    """Reads the host key and facts of all machines in parallel.

    Every update checks a machine until it is a member. A member is checked again only when the requirements or the
    script change, or when argus:ssh.rerun changes.
    """

    passed: Mapping[str, pulumi.Output[Sequence[pulumi.Resource]]]
    """Resources to depend on, by machine name; each fails when any machine does not meet the requirements."""
    checks: pulumi.Output[Mapping[str, str]]
    """The last check of each machine, by its address: its time (Unix seconds) and a digest of what was asked."""
    disks: pulumi.Output[Mapping[str, Any]]
    """The disks of each machine as it answered last, by its address."""
    host_keys_read: Sequence[pulumi.Resource]
    """Depend on these to run after all host keys have been read."""
    ssh: remote.Ssh
    """SSH settings for machines that passed, with each one's host key; the endpoint accepts any control plane's key."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Preflight", name, {}, opts)
        machines, control_planes = args.all_machines, args.machines.control_planes
        unreachable = _UnreachableMachines(name, machines)
        child = pulumi.ResourceOptions(parent=self)
        host_keys = HostKeys(f"{name}-host-key", args, on_error=unreachable.hooks, opts=child)
        keys, self.host_keys_read = host_keys.keys, host_keys.read
        now, earlier = int(time.time()), pulumi.Output.from_input(args.checks)
        checks: dict[str, pulumi.Output[str]] = {}
        commands: dict[str, Command] = {}
        for machine in machines:
            ports = listens_at(args.cluster, control_plane=machine.control_plane)
            facts_script = script(
                "facts.sh", virtual_ip=args.endpoint, ports=[str(port) for port in ports], volumes=disks.VOLUMES_ROOT
            )
            asked = _digest(
                facts_script.render(rerun=args.ssh.options.rerun),
                args.cluster.minimum_memory_mib,
                container_runtime.oldest_containerd(args.cluster.kubernetes_version),
                args.cluster.minimum_disk_gib,
                *(f"{service} {gib}" for service, gib in args.volumes_gib.items()),
                args.cluster.firewalls,
                args.encrypts_volumes,
            )
            checks[machine.name] = earlier.apply(partial(_same_or_new, machine.host, f"{now} {asked}"))
            commands[machine.name] = remote.command(
                f"{name}-{machine.name}",
                host=machine.host,
                ssh=replace(
                    args.ssh,
                    host_keys={machine.host: [keys[machine.name]]},
                    on_error=unreachable.hooks.get(machine.name),
                ),
                create=facts_script,
                stdin=checks[machine.name],
                dial_attempts=2,
                opts=child,
            )
        self.checks = pulumi.Output.all(**{machine.host: checks[machine.name] for machine in machines})
        accepted = pulumi.Output.all(**checks).apply(
            lambda checks: [name for name, check in checks.items() if int(check.partition(" ")[0]) != now]
        )
        self.disks = pulumi.Output.all(**{machine.host: commands[machine.name].stdout for machine in machines}).apply(
            lambda printed: {host: _disks(text, args.server) for host, text in printed.items()}
        )
        facts = {name: command.stdout for name, command in commands.items()}
        verdict: pulumi.Output[bool] = pulumi.Output.from_input(_check(args, facts, keys, accepted, unreachable))
        # All depend on one verdict: if each machine depended on each, dependencies would grow with their square.
        self.passed = {name: _after(verdict, [command]) for name, command in commands.items()}
        passed_keys = {machine.host: [_after(verdict, keys[machine.name])] for machine in machines}
        endpoint_keys = [key for machine in control_planes for key in passed_keys[machine.host]]
        self.ssh = replace(
            args.ssh,
            host_keys={**passed_keys, args.endpoint: endpoint_keys},
            holders={args.endpoint: [machine.host for machine in control_planes]},
            on_error=explained(f"{name}-explained", machines, args.ssh.options),
        )
        self.register_outputs({})


def _after(verdict: pulumi.Output[bool], value: Any) -> pulumi.Output[Any]:
    return verdict.apply(lambda _: value)


class _UnreachableMachines:
    """The machines that do not answer, with the reasons.

    The engine ends the program at the first command that fails, which would hide the problems of other machines. So
    each failure is held back until all machines have answered, or until failures occupy all parallel operations of the
    engine. Where the engine does not support error hooks, the reasons stay unknown.
    """

    hooks: Mapping[str, pulumi.ErrorHook]
    """Hooks for the first command on each machine, by the machine's name."""

    def __init__(self, name: str, machines: Sequence[Machine]) -> None:
        self._reasons: dict[str, str] = {}
        self._failed = {machine.name: asyncio.Event() for machine in machines}
        self._stop_waiting = asyncio.Event()
        self._released = asyncio.Event()
        held = self._failed if engine.has_error_hooks() else ()
        self.hooks = {each: pulumi.ErrorHook(f"{name}-{each}-failed", partial(self._hold, each)) for each in held}

    async def reason(self, machine: str, answer: asyncio.Future[Any]) -> str | None:
        """Wait for the machine; return None if it answered, the reason if it failed, and "" if neither is known."""
        events = [asyncio.ensure_future(each.wait()) for each in (self._failed[machine], self._stop_waiting)]
        await asyncio.wait({answer, *events}, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()
        if answer.done():
            return None if answer.exception() is None else "see its error above"
        return self._reasons.get(machine, "")

    def failed(self, machine: str) -> bool:
        """Whether the failure of this machine's command is held back."""
        return machine in self._reasons

    def release(self) -> None:
        """Release the failures that were held back, which end the program."""
        self._released.set()

    async def _hold(self, machine: str, failed: pulumi.ErrorHookArgs) -> bool:
        self._reasons[machine] = failed.errors[0].strip().splitlines()[-1].removeprefix("error: ")
        self._failed[machine].set()
        if len(self._reasons) >= engine.parallel_operations():
            self._stop_waiting.set()
        await self._released.wait()
        return False


def _disks(printed: str, server: str) -> Mapping[str, Any]:
    """A machine's disks for the stack's outputs; one whose facts are not understood has not passed."""
    try:
        return vars(Facts.parse(printed).disks_of(server))
    except ValueError:
        return {}


def _digest(*asked: str | int) -> str:
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]


def _same_or_new(address: str, check: str, earlier: Mapping[str, str]) -> str:
    """The earlier check of this address, if it asked for the same; else the new one."""
    last = earlier.get(address, "")
    return last if last.partition(" ")[2] == check.partition(" ")[2] else check


async def _facts_of(
    machine: Machine,
    output: pulumi.Output[str],
    host_key: pulumi.Output[str],
    ssh: Ssh,
    unreachable: _UnreachableMachines,
) -> Facts | str | None:
    """A machine's facts, its problem if they cannot be had, or None if neither is known, as in a preview."""
    answer, key = asyncio.ensure_future(output.future()), asyncio.ensure_future(host_key.future())
    reason = await unreachable.reason(machine.name, answer)
    if reason is None:
        text = await answer
        if text is None:
            return None
        try:
            return Facts.parse(text)
        except ValueError:
            return not_understood(text)
    if not reason:
        return None
    # If reading the host key failed, there is no key to compare with.
    given = key.result() if key.done() and key.exception() is None else None
    return (await mismatch(machine.host, ssh, given) if given else None) or no_answer(reason)


async def _as_recorded(facts: Mapping[str, Facts | str | None], args: ClusterArgs) -> list[str]:
    """The problems with disks of machines that a preview does not ask, by what they answered last."""
    recorded = await pulumi.Output.from_input(args.disks).future() or {}
    return [
        f"{machine.name} ({machine.host}): {reason}"
        for machine in args.schedulable_machines
        if facts[machine.name] is None and recorded.get(machine.host)
        if (reason := disks.problem(disks.Disks.from_output(recorded[machine.host]), args))
    ]


async def _check(
    args: ClusterArgs,
    outputs: Mapping[str, pulumi.Output[str]],
    keys: Mapping[str, pulumi.Output[str]],
    accepted: pulumi.Output[Sequence[str]],
    unreachable: _UnreachableMachines,
) -> bool:
    """Wait until every machine has answered or failed, then report all problems. Raises PreflightError."""
    try:
        running = await pulumi.Output.from_input(args.running_version).future()
        has = await pulumi.Output.from_input(args.running_network).future() or (running and "built-in")
        refused = [
            *(await pulumi.Output.from_input(args.refusals).future() or ()),
            upgrade.refusal(running, args.cluster.kubernetes_version),
            network.refusal(has, args.network),
        ]
        if reasons := [reason for reason in refused if reason]:
            raise PreflightError("no machine was changed: " + "\n  ".join(reasons))
        ssh = args.ssh.options
        reads = (_facts_of(each, outputs[each.name], keys[each.name], ssh, unreachable) for each in args.all_machines)
        facts = dict(zip(outputs, await asyncio.gather(*reads), strict=True))
        answers = {name: each for name, each in facts.items() if each is not None}
        members = await accepted.future()
        found = problems(answers, args, members) if members is not None else []
        found += await _as_recorded(facts, args)
        text = "no machine was changed, because\n  " + "\n  ".join(found)
        lost = [outputs[name] for name in facts if unreachable.failed(name)]
        if unreachable.hooks and lost:
            # Once released, these failures end the program before an exception raised here would show: report first.
            unheard = ", ".join(name for name, each in facts.items() if each is None)
            pulumi.log.error(f"{text}\nNot heard, because so many others do not answer: {unheard}" if unheard else text)
    finally:
        unreachable.release()
    if unreachable.hooks:
        await asyncio.gather(*(each.future() for each in lost))
    if found:
        raise PreflightError(text)
    return True
