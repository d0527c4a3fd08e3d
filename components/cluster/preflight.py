"""All machines' problems at once, before any of them is changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import remote
from components.cluster import network, upgrade
from components.cluster.facts import Facts, Requirements, problems
from components.cluster.kubeadm import API_PORT
from components.cluster.machine import Machine, script
from components.cluster.network import NetworkKind

_NODE_PORTS = (10250,)
_CONTROL_PLANE_PORTS = (2379, 2380, API_PORT, 10257, 10259)


_LOOK_AGAIN = "A machine is looked at once: when all is mended, give argus:ssh.mend another word, and it is again"


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
    running_version: pulumi.Input[str | None] = None
    """The version that the stack's cluster has had so far, if there is one."""
    network: NetworkKind = "built-in"
    running_network: pulumi.Input[str | None] = None
    """The kind that the stack's cluster has had so far; None where it was made before there was a choice."""


class Preflight(pulumi.ComponentResource):
    """Reads the facts of every machine, side by side, once in a machine's life; a living member is not asked again."""

    passed: Mapping[str, pulumi.Output[Sequence[pulumi.Resource]]]
    """To depend on, by the machine's name: each fails when any machine is not fit."""

    def __init__(self, name: str, args: PreflightArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("argus:cluster:Preflight", name, {}, opts)
        machines = (*args.control_planes, *args.workers)
        required = Requirements(
            endpoint=args.endpoint,
            endpoint_port=args.endpoint_port,
            minimum_memory_mib=args.minimum_memory_mib,
            minimum_disk_gib=args.minimum_disk_gib,
            addresses={machine.name: machine.address for machine in machines},
            now=int(time.time()),
        )
        facts: dict[str, pulumi.Output[str]] = {}
        commands: dict[str, pulumi.Resource] = {}
        for machine in machines:
            ports = list(_NODE_PORTS)
            if machine in args.control_planes:
                ports += [*_CONTROL_PLANE_PORTS, args.endpoint_port]
            command = remote.command(
                f"{name}-{machine.name}",
                host=machine.address,
                ssh=args.ssh,
                create=_facts(args, ports, check_clock=True),
                update=_facts(args, ports, check_clock=False),
                stdin=str(int(time.time())),
                dial_attempts=2,
                # The time of the first look: a later one is no reason to look again.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["stdin"]),
            )
            commands[machine.name] = command
            facts[machine.name] = command.stdout
        checked: pulumi.Output[bool] = pulumi.Output.from_input(_check(facts, required, args))
        # All wait for the one verdict; a dependency of each machine on each would grow with their square.
        self.passed = {name: _after(checked, command) for name, command in commands.items()}
        self.register_outputs({})


def _after(verdict: pulumi.Output[bool], command: pulumi.Resource) -> pulumi.Output[Sequence[pulumi.Resource]]:
    return verdict.apply(lambda _: [command])


def _facts(args: PreflightArgs, ports: Sequence[int], *, check_clock: bool) -> remote.Script:
    return script("facts.sh", virtual_ip=args.endpoint, ports=[str(port) for port in ports], check_clock=check_clock)


async def _check(outputs: Mapping[str, pulumi.Output[str]], required: Requirements, args: PreflightArgs) -> bool:
    """Wait for every machine, also for those that do not answer, then speak once."""
    running = await pulumi.Output.from_input(args.running_version).future()
    has = await pulumi.Output.from_input(args.running_network).future() or (running and "built-in")
    if reason := upgrade.refusal(running, args.kubernetes_version) or network.refusal(has, args.network):
        raise PreflightError(f"no machine was changed: {reason}")
    answers = await asyncio.gather(*(each.future() for each in outputs.values()), return_exceptions=True)
    facts: dict[str, Facts | str] = {}
    for name, answer in zip(outputs, answers, strict=True):
        if isinstance(answer, BaseException):
            facts[name] = "see its error above"
        elif answer:  # in a preview, nothing is known of a new machine
            facts[name] = Facts.parse(answer)
    if found := problems(facts, required):
        raise PreflightError("no machine was changed, because\n  " + "\n  ".join(found) + f"\n{_LOOK_AGAIN}")
    return True
