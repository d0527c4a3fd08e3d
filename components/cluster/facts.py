"""The facts that preflight reads from each machine, and the problems that follow from them (pure functions)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from components import remote
from components.cluster import container_runtime, disks
from components.cluster.args import ClusterArgs
from components.cluster.disks import Disks
from components.cluster.openings import openings

_MAXIMUM_SKEW_SECONDS = 60
_SHOWN = 60
"""Characters shown of what a machine printed."""
_SYSTEMS = {"debian": 12, "ubuntu": 22}
_UNIQUE = {
    "machine_id": "rm /etc/machine-id && systemd-machine-id-setup, then reboot",
    "hostname": "hostnamectl set-hostname NAME",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The answer of facts.sh."""

    skew_seconds: int
    """How far the machine's clock is ahead of the clock of the computer that runs Pulumi."""
    os: str
    os_version: str
    systemd: bool
    root: bool
    hostname: str
    machine_id: str
    memory_mib: int
    containerd: str
    """Its version, there or to be installed from the machine's repositories; empty where neither is known."""
    disk_mib: int
    disks: Sequence[str]
    """As in disks.Disks."""
    volumes: Sequence[str]
    """As in disks.Disks."""
    encrypts: bool
    """Whether its kernel can encrypt volumes."""
    swap: Sequence[str]
    """What it swaps to, as `NAME KIND`: a partition, a file or zram; what is a `unit` would be started with it."""
    ports_in_use: Sequence[str]
    addresses: Sequence[str]
    macs: Sequence[str]
    firewalls: Sequence[str]
    """Those that drop packets that come in, or that pass through."""
    virtual_ip_holder: str
    cluster: str
    """URL of the API server if the machine is already a node of this or another cluster; else empty."""

    def disks_of(self, server: str) -> Disks:
        """What its volumes must fit on, if the cluster is reached at this URL."""
        return Disks(disks=self.disks, volumes=self.volumes, member=self.cluster == server)

    @classmethod
    def parse(cls, printed: str) -> Facts:
        """The facts, from all that the machine printed. Raises ValueError where they are not there, or not complete."""
        try:
            return cls(**json.loads(remote.answer(printed)))
        except TypeError as incomplete:
            raise ValueError(str(incomplete)) from incomplete


def problems(facts: Mapping[str, Facts | str], args: ClusterArgs, accepted: Collection[str] = ()) -> list[str]:
    """Every problem of every machine with its remedy, one line each, in the order of the machines.

    For a machine that did not answer, `facts` holds its problem as a string. `accepted` has the names of members that
    passed earlier: only what they share with other machines is checked again.
    """
    answers = {name: each for name, each in facts.items() if isinstance(each, Facts)}
    shared = _shared(answers)
    macs = {mac for each in answers.values() for mac in each.macs}
    addresses = {machine.name: machine.host for machine in args.all_machines}
    keepers = {machine.name for machine in args.schedulable_machines}
    found: list[str] = []
    for name, each in facts.items():
        address = addresses[name]
        if isinstance(each, Facts):
            own = [] if name in accepted else [*_problems(each, args, address, macs)]
            if name in keepers and name not in accepted:
                own += _volumes(each, args)
            lines = [*own, *shared.get(name, ())]
        else:
            lines = [each]
        found += [f"{name} ({address}): {line}" for line in lines]
    return [*found, *_too_large(answers, args)]


def _too_large(answers: Mapping[str, Facts], args: ClusterArgs) -> Iterable[str]:
    """The pods that are too large for every machine; none while facts of a machine that runs pods are missing."""
    hosts = [machine.name for machine in args.schedulable_machines]
    memory = {name: answers[name].memory_mib for name in hosts if name in answers}
    if not memory or len(memory) < len(hosts):
        return
    largest = max(memory, key=lambda name: memory[name])
    for key, mib in args.pods.items():
        if mib > memory[largest]:
            yield (
                f"argus:{key}: a pod of {mib} MiB, and {largest}, the largest machine that runs pods, has"
                f" {memory[largest]} MiB: lower it, or add a larger machine"
            )


def no_answer(reason: str) -> str:
    """The problem of a machine that does not answer, refuses the login, or refuses sudo."""
    if reason.startswith("sudo:"):
        return f"argus:ssh.user may not become root there ({reason}): give it a sudo without a password (NOPASSWD)"
    if "exit status" in reason or "exited with status" in reason:
        return f"was reached, but reading its facts failed ({reason}): see its error above"
    # OpenSSH 9.8 and newer; the login that failed before may be of another program at the same address.
    shut_out = "; its sshd may shut this address out for a while after failed logins (PerSourcePenalties)"
    return (
        f"does not answer over SSH ({reason}): check that the machine runs, that its address is right and that"
        f" argus:ssh names a user and key that may log in{shut_out if 'reset by peer' in reason else ''}"
    )


def not_understood(printed: str) -> str:
    """The problem of a machine that ran something else than facts.sh, or whose facts cannot be read."""
    first = next((line.strip() for line in printed.splitlines() if line.strip()), "")
    said = f"it printed {first[:_SHOWN]!r}" if first else "it printed nothing"
    return (
        f"answers over SSH, but its facts are not understood ({said}): see that the login shell of argus:ssh.user runs"
        " the command that it is given, and that neither its start-up files nor sshd's ForceCommand run another"
    )


def _system(facts: Facts) -> Iterable[str]:
    if not facts.root:
        yield "the scripts do not run as root: give argus:ssh.user a sudo without a password"
    if facts.os not in _SYSTEMS or _major(facts.os_version) < _SYSTEMS[facts.os]:
        yield f"runs {facts.os or 'an unknown system'} {facts.os_version}: install Debian 12 or Ubuntu 22.04, or newer"
    if not facts.systemd:
        yield "is not run by systemd: boot it with systemd as its init"


def _problems(facts: Facts, args: ClusterArgs, address: str, macs: Collection[str]) -> Iterable[str]:
    yield from _system(facts)
    if address not in facts.addresses:
        yield (
            f"none of its interfaces has {address} (it has {', '.join(facts.addresses)}): give the address that the"
            " machine itself has, not one that is translated to it"
        )
    if facts.memory_mib < args.cluster.minimum_memory_mib:
        yield (
            f"{facts.memory_mib} MiB of memory, {args.cluster.minimum_memory_mib} needed: give it more, or lower"
            " argus:cluster.minimumMemoryMiB"
        )
    if abs(facts.skew_seconds) > _MAXIMUM_SKEW_SECONDS:
        direction = "ahead of" if facts.skew_seconds > 0 else "behind"
        yield (
            f"its clock is {abs(facts.skew_seconds)} s {direction} this computer's:"
            " turn time synchronisation on (timedatectl set-ntp true)"
        )
    if too_old := container_runtime.refusal(facts.containerd, args.cluster.kubernetes_version):
        yield too_old
    if facts.cluster == args.server:
        return
    if facts.cluster:
        yield f"is a node of another cluster ({facts.cluster}): take it out of there first (kubeadm reset)"
        return
    if facts.disk_mib < args.cluster.minimum_disk_gib * 1024:
        yield (
            f"{facts.disk_mib // 1024} GiB free in /var/lib, {args.cluster.minimum_disk_gib} needed: free some, or"
            " lower argus:cluster.minimumDiskGiB"
        )
    if facts.swap:
        yield _swap(facts.swap)
    if facts.ports_in_use:
        yield f"port {', '.join(facts.ports_in_use)} in use: stop what listens there (ss -ltnp shows it)"
    if facts.firewalls and args.cluster.firewalls == "refuse":
        yield (
            f"a firewall drops packets there ({', '.join(facts.firewalls)}): open {_openings(args, address)}; then set"
            " argus:cluster.firewalls: opened (docs/operations.md, A firewall)"
        )
    if facts.virtual_ip_holder and facts.virtual_ip_holder not in macs:
        yield (
            f"sees {args.endpoint} in use by {facts.virtual_ip_holder}, which is no machine of this stack: choose a"
            " free address for argus:cluster.endpoint"
        )


def _volumes(facts: Facts, args: ClusterArgs) -> Iterable[str]:
    if full := disks.problem(facts.disks_of(args.server), args):
        yield full
    if args.encrypts_volumes and not facts.encrypts:
        yield (
            "its kernel encrypts no volumes (there is no dm-crypt; a container has none): boot a kernel with the module"
            " dm_crypt, as Debian's and Ubuntu's have it, or remove argus:storage.encryption"
        )


def _swap(found: Sequence[str]) -> str:
    """What swaps, or will after the next start, when the kubelet would not start: it is to be off for good."""
    names: dict[str, list[str]] = defaultdict(list)
    for each in found:
        name, _, kind = each.partition(" ")
        names[kind].append(name)
    now = [name for kind, each in names.items() if kind != "unit" for name in each]
    said = [f"swaps to {', '.join(now)}: turn it off (swapoff -a)"] if now else []
    if units := names.get("unit"):
        said.append(f"would swap again after its next start ({', '.join(units)})")
    remedies = []
    if names.keys() & {"partition", "file", "unit"}:
        remedies.append(
            "take it out of /etc/fstab and run systemctl daemon-reload; what systemd finds by itself or has a unit of"
            " its own is turned off by systemctl mask NAME.swap (systemctl list-units --all --type swap)"
        )
    if "zram" in names:
        remedies.append("turn zram off with what makes it (apt-get purge zram-tools systemd-zram-generator)")
    return f"{' and '.join(said)}: {'; '.join(remedies)}"


def _openings(args: ClusterArgs, address: str) -> str:
    """What must reach a machine that answers over SSH, and pass through it."""
    addresses = [each.host for each in args.machines.control_planes]
    needed = openings(
        args.cluster,
        args.network,
        ssh_port=args.ssh.options.port,
        control_planes=f"the control planes ({', '.join(addresses)})",
    )
    return "; ".join(
        f"{each.what} from {each.source}" for each in needed if address in addresses or not each.control_planes_only
    )


def _shared(answers: Mapping[str, Facts]) -> dict[str, list[str]]:
    """The problems of machines that share a value that must be unique, by machine name."""
    found: dict[str, list[str]] = defaultdict(list)
    for what, remedy in _UNIQUE.items():
        holders: dict[str, list[str]] = defaultdict(list)
        for name, each in answers.items():
            holders[getattr(each, what)].append(name)
        for value, names in holders.items():
            for name in names:
                if others := [other for other in names if other != name]:
                    found[name].append(f"has the {what.replace('_', '-')} {value!r} of {', '.join(others)}: {remedy}")
    return found


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
