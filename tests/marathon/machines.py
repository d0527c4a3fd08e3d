"""Faults of one machine: frozen, cut off, killed, and packets lost on their way to it."""

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lab.config import LabError, machine
from lab.machines import fleet
from lab.podman import inspect_container, pause, running, unpause
from lab.shell import output, run
from tests.e2e.cluster import ClusterClient, is_ready
from tests.e2e.machines import EVERYBODY
from tests.marathon.fault import Aim, Fault, Scene, UnprovenError, process_of_machine, prove
from tests.marathon.schedule import chosen

LEASE_S = 5
"""How often a kubelet renews its node's lease (components/cluster/kubeadm.py)."""
SILENT_S = 3 * LEASE_S
CARD = "eth0"
"""A machine's only network card."""


class MachineDown(Fault):
    """A machine that does nothing for a while. Its kubelet does not renew the node's lease then."""

    hold_s = (30, 70)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        return {"machine": chosen(draws[0], EVERYBODY)}

    def proof(self, scene: Scene, aim: Aim) -> str:
        seen: list[str] = []

        def silent() -> str | None:
            silent_s = since_renewed_s(_lease(scene.cluster, aim["machine"]), datetime.now(UTC))
            seen[:] = [f"{aim['machine']}: its kubelet has not renewed the lease for {silent_s:.0f} s"]
            return None if silent_s >= SILENT_S else seen[0]

        prove(f"{aim['machine']} silent", silent)
        node = next(node for node in scene.cluster.nodes() if node["metadata"]["name"] == aim["machine"])
        return f"{seen[0]}, its node is {'Ready' if is_ready(node) else 'NotReady'}; {self.state(aim)}"

    @abstractmethod
    def state(self, aim: Aim) -> str:
        """What this host says of the machine. Raises UnprovenError if it is not down."""


class Frozen(MachineDown):
    """All processes of the machine stopped where they are (the freezer of its control group), and let go on."""

    name = "machine-frozen"

    def begin(self, scene: Scene, aim: Aim) -> None:
        pause(machine(aim["machine"]).container)

    def state(self, aim: Aim) -> str:
        return _expect("podman says", _status(aim["machine"]), "paused")

    def end(self, scene: Scene, aim: Aim) -> None:
        unpause(machine(aim["machine"]).container)


class CutOff(MachineDown):
    """The machine's cable pulled and put in again: the host's end of its link is down, and no packet passes."""

    name = "machine-cut-off"

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        aim = super().aim(scene, draws)
        return aim | {"link": cable_of(aim["machine"])}

    def begin(self, scene: Scene, aim: Aim) -> None:
        output(["ip", "link", "set", "dev", aim["link"], "down"])

    def state(self, aim: Aim) -> str:
        (link,) = json.loads(output(["ip", "-json", "link", "show", "dev", aim["link"]]))
        return _expect(f"its cable {aim['link']} is", link["operstate"], "DOWN")

    def end(self, scene: Scene, aim: Aim) -> None:
        # Looked up anew: a machine that was started meanwhile has another one.
        if running(machine(aim["machine"]).container):
            output(["ip", "link", "set", "dev", cable_of(aim["machine"]), "up"])


class Killed(MachineDown):
    """The machine stopped like a power cut, and started again."""

    name = "machine-killed"

    def begin(self, scene: Scene, aim: Aim) -> None:
        fleet.kill(machine(aim["machine"]))

    def state(self, aim: Aim) -> str:
        return _expect("podman says", "running" if running(machine(aim["machine"]).container) else "ended", "ended")

    def end(self, scene: Scene, aim: Aim) -> None:
        if not running(machine(aim["machine"]).container):
            fleet.start(machine(aim["machine"]))


class PacketsLost(Fault):
    """Of the packets that come to one machine, 5 to 20 of 100 dropped at random, those for its pods included."""

    name, hold_s = "packets-lost", (40, 80)

    def aim(self, scene: Scene, draws: Sequence[float]) -> Aim:
        return {"machine": chosen(draws[0], EVERYBODY), "percent": 5 + round(draws[1] * 15)}

    def begin(self, scene: Scene, aim: Aim) -> None:
        output(_rule(aim, "--insert"))

    def proof(self, scene: Scene, aim: Aim) -> str:
        seen: list[int] = []

        def dropped() -> str | None:
            seen[:] = [dropped_packets(output(_tables(aim["machine"], "-nvxL", _CHAIN)))]
            return None if seen[0] else "no packet was dropped"

        prove(f"packets to {aim['machine']} dropped", dropped)
        return f"{seen[0]} packets to {aim['machine']} were dropped ({aim['percent']} of 100)"

    def end(self, scene: Scene, aim: Aim) -> None:
        if not running(machine(aim["machine"]).container):
            return
        while run(_rule(aim, "--check"), check=False).returncode == 0:
            output(_rule(aim, "--delete"))


_CHAIN = "PREROUTING"


def dropped_packets(listed: str) -> int:
    """The packets that the chain's random rules have dropped, from what `iptables -nvxL` prints. Raises UnprovenError
    if there is no such rule."""
    counts = re.findall(r"^\s*(\d+)\s+\d+\s+DROP\s.*statistic mode random", listed, re.MULTILINE)
    if not counts:
        raise UnprovenError(f"there is no rule that drops packets at random:\n{listed}")
    return sum(map(int, counts))


def since_renewed_s(lease: dict[str, Any], now: datetime) -> float:
    """The seconds since a node's lease was renewed."""
    return (now - datetime.fromisoformat(lease["spec"]["renewTime"])).total_seconds()


def cable_of(name: str) -> str:
    """The name on this host of the other end of the machine's network card. Raises LabError if there is none."""
    inside = json.loads(output([*in_network(name), "ip", "-json", "link", "show", "dev", CARD]))
    return other_end(inside, json.loads(output(["ip", "-json", "link", "show"])), name)


def other_end(inside: list[dict[str, Any]], outside: list[dict[str, Any]], name: str) -> str:
    """The host's link whose number the machine's link names, and which names the machine's in turn."""
    (card,) = inside
    for link in outside:
        if link["ifindex"] == card.get("link_index") and link.get("link_index") == card["ifindex"]:
            return str(link["ifname"])
    raise LabError(f"no link of this host is the other end of {name}'s {CARD} (number {card.get('link_index')})")


def in_network(name: str) -> tuple[str, ...]:
    """What runs a program of this host in the machine's network."""
    return ("nsenter", f"--net=/proc/{process_of_machine(name)}/ns/net")


def iptables(name: str, table: str, *arguments: str) -> list[str]:
    """The command that works on a table of a machine."""
    # As in components/cluster/network.sh: the nft of Debian 12 crashes on kube-proxy's tables.
    return [*in_network(name), "iptables", "--wait", "--table", table, *arguments]


def _tables(name: str, *arguments: str) -> list[str]:
    return iptables(name, "raw", *arguments)


def _rule(aim: Aim, action: str) -> list[str]:
    share = ("-m", "statistic", "--mode", "random", "--probability", f"{aim['percent'] / 100:.2f}")
    return _tables(aim["machine"], action, _CHAIN, "--in-interface", CARD, *share, "--jump", "DROP")


def _status(name: str) -> str:
    container = inspect_container(machine(name).container)
    return str(container["State"]["Status"]) if container is not None else "absent"


def _expect(what: str, seen: str, wanted: str) -> str:
    if seen != wanted:
        raise UnprovenError(f"{what} {seen}, not {wanted}")
    return f"{what} {seen}"


def _lease(cluster: ClusterClient, node: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}")
    return found
