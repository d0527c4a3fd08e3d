"""`make bench-provision`: from bare machines to a cluster, by hand with kubeadm and by `pulumi up`, side by side.

Both start from machines of the lab that were made anew, and use the same kubeadm, containerd, HAProxy and keepalived
configuration, images and binaries; one unmeasured preparation first reads those into the host's memory. The lab must be
up without a cluster: `python -m lab up`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from components import config as argus_config
from components.cluster import ClusterArgs
from components.remote import Ssh
from lab import services
from lab.config import SSH_KEY, STACK, LabError, machine, machines
from lab.machines import fleet, ssh
from lab.podman import remove_container
from lab.progress import say, step
from lab.shell import run
from tests.bench.by_hand import ByHand
from tests.bench.clock import LOGS, timed
from tests.bench.stacks import Config, Stack, committed, unavailable, with_key, without
from tests.bench.table import footer, ratio, spread, table

CLUSTER_ONLY = "**argus:cluster:**"
"""The cluster's URNs; Pulumi adds the providers that they need."""
HEADER = ("step", "seconds", "of the bare kubeadm", "of the same by hand")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One row: what was timed, what that includes, and the manual step that does the same."""

    name: str
    includes: str
    like: Step | None = None


BY_HAND = Step(
    name="kubeadm by hand",
    includes="init, control planes one after the other, workers side by side, CNI and routes, until all are Ready; "
    "packages, binaries, images, containerd, HAProxy and keepalived are there",
)
BY_HAND_FROM_BARE = Step(
    name="kubeadm by hand, from bare machines",
    includes="packages looked for, binaries, containerd, images, HAProxy and keepalived, and then the above",
)
UP_READY = Step(
    name="pulumi up, until Ready",
    includes="from bare machines: the program's start, preflight, all that is done by hand, until the last node is "
    "Ready (by its own record, to the next whole second)",
    like=BY_HAND_FROM_BARE,
)
UP = Step(
    name="pulumi up, to its end",
    includes="and labels, DNS spread and rolled out, metrics-server ready, local volumes, the kubeconfig read",
    like=BY_HAND_FROM_BARE,
)
WORKER_BY_HAND = Step(
    name="a worker more by hand",
    includes="from a bare machine: prepared, joined, routes on all machines, until Ready",
)
WORKER_LESS = Step(
    name="a worker less by pulumi up",
    includes="one leaves the five and is bare again, the others' routes to it are gone",
)
WORKER_READY = Step(
    name="a worker more by pulumi up, until Ready",
    includes="from a bare machine: the program's start, preflight, all that is done by hand",
    like=WORKER_BY_HAND,
)
WORKER = Step(
    name="a worker more by pulumi up, to its end",
    includes="and its volumes, and what depends on the list of machines",
    like=WORKER_BY_HAND,
)
STEPS = (BY_HAND, BY_HAND_FROM_BARE, UP_READY, UP, WORKER_BY_HAND, WORKER_LESS, WORKER_READY, WORKER)

Times = Mapping[Step, Sequence[float]]
"""Seconds of each step, one per measurement."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; the machines are bare afterwards."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.provision", description=__doc__)
    parser.add_argument("--repeat", type=int, default=1, help="measurements of each step")
    parser.add_argument("--keep", action="store_true", help="leave the machines as they are after a failure")
    options = parser.parse_args(arguments)
    try:
        check_bare()
        print(report(measure(options.repeat, keep=options.keep)))
    except LabError as error:
        print(f"bench-provision: {error}\n(logs: {LOGS})", file=sys.stderr)
        return 1
    print(footer(options.repeat, ".venv/bin/python -m lab up && make bench-provision"))
    return 0


def report(times: Times) -> str:
    """The table, followed by what each step includes."""
    rows = []
    for each in STEPS:
        like = ratio(times[each], times[each.like]) if each.like else ""
        rows.append((each.name, spread(times[each]), ratio(times[each], times[BY_HAND]), like))
    return "\n".join([table(HEADER, rows), "", *(f"- {each.name}: {each.includes}." for each in STEPS)])


def ready_at(nodes: Mapping[str, Any]) -> float:
    """When the last node became Ready, from `kubectl get nodes -o json`: the end of that whole second."""
    since = []
    for node in nodes["items"]:
        ready = next(each for each in node["status"]["conditions"] if each["type"] == "Ready")
        if ready["status"] != "True":
            raise LabError(f"{node['metadata']['name']} is not Ready: {ready.get('message', ready['status'])}")
        since.append(datetime.fromisoformat(ready["lastTransitionTime"]).timestamp() + 1)
    return max(since)


class ByPulumi:
    """`pulumi up` of the cluster alone."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._stack = Stack(folder, config)

    def up(self, config: Config, what: str) -> tuple[float, float]:
        """Seconds until the last node was Ready, and until the end."""
        self._stack.configure(config)
        command = self._stack.command("up", "--yes", "--skip-preview", "--target", CLUSTER_ONLY)
        began = time.time()
        with step(f"pulumi up: {what}"):
            seconds = timed(command, self._stack.environment, f"pulumi-{what.replace(' ', '-')}")
        return ready_at(_nodes()) - began, seconds


def check_bare() -> None:
    """Raise LabError unless the lab is up and none of its machines belongs to a cluster."""
    remedy = "run `.venv/bin/python -m lab up`"
    if why_not := unavailable():
        raise LabError(f"{why_not}; {remedy}")
    parts = {each.name: services.status(each) for each in services.services()}
    parts |= {each.name: fleet.status(each) for each in machines()}
    if absent := [f"{name} ({state})" for name, state in parts.items() if state != "ready"]:
        raise LabError(f"not ready: {', '.join(absent)}; {remedy}")
    traces = "find /etc/kubernetes /var/lib/argus -mindepth 1 -print -quit 2>/dev/null"
    if used := [each.name for each in machines() if ssh.answer(each, traces)[1]]:
        raise LabError(
            f"{', '.join(used)} may belong to a cluster, and this makes the machines anew: first `make down`"
        )


def measure(repeat: int, *, keep: bool) -> Times:
    """Measure every step `repeat` times."""
    config = with_key(committed(STACK), SSH_KEY)
    # Who enforces policies needs an image of the pipeline's, and by hand there is nobody either.
    config["argus:cluster"] = {**config["argus:cluster"], "networkPolicies": "declared"}
    settings = argus_config.load_values({key.removeprefix("argus:"): value for key, value in config.items()})
    args = ClusterArgs(
        machines=settings.machines,
        ssh=Ssh(options=settings.ssh),
        cluster=settings.cluster,
        backup=settings.backup,
        page_port=settings.ui.node_port,
    )
    times: dict[Step, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="argus-bench-") as work:
        try:
            say("unmeasured: the first preparation also reads files that later ones find in memory")
            ByHand(Path(work, "warm-up"), args).run("prepare", *(each.name for each in args.all_machines))
            for number in range(repeat):
                _by_hand(ByHand(Path(work, f"by-hand-{number}"), args), args, times)
                _by_pulumi(Path(work, f"pulumi-{number}"), config, args, times)
        except BaseException:
            if not keep:
                _make_bare()
            raise
        _make_bare()
    return times


def _by_hand(script: ByHand, args: ClusterArgs, times: dict[Step, list[float]]) -> None:
    _make_bare()
    prepared = script.run("prepare", *(each.name for each in args.all_machines))
    joined = script.run("cluster")
    times[BY_HAND].append(joined)
    times[BY_HAND_FROM_BARE].append(prepared + joined)

    leaving = args.machines.active_workers[-1].name
    script.run("forget", leaving)
    remove_container(machine(leaving).container)
    fleet.ensure(machines())
    times[WORKER_BY_HAND].append(script.run("prepare", leaving) + script.run("worker", leaving))


def _by_pulumi(folder: Path, config: Config, args: ClusterArgs, times: dict[Step, list[float]]) -> None:
    _make_bare()
    pulumi = ByPulumi(folder, config)
    ready, end = pulumi.up(config, "all machines")
    times[UP_READY].append(ready)
    times[UP].append(end)

    leaving = args.machines.active_workers[-1].name
    _, end = pulumi.up(without(config, leaving), f"without {leaving}")
    times[WORKER_LESS].append(end)
    ready, end = pulumi.up(config, f"with {leaving} again")
    times[WORKER_READY].append(ready)
    times[WORKER].append(end)


def _make_bare() -> None:
    """Recreate the machines, so that every measurement starts from the same state."""
    with step("making the machines anew"):
        fleet.remove_all()
        fleet.ensure(machines())


def _nodes() -> dict[str, Any]:
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes --output json"
    nodes: dict[str, Any] = json.loads(run(ssh.command(machines()[0], kubectl)).stdout)
    return nodes


if __name__ == "__main__":
    sys.exit(main())
