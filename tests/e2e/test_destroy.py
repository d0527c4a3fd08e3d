"""`pulumi destroy` leaves the machines as they were, so the next `make up` finds bare machines and goes well."""

import filecmp
import json
from pathlib import Path

from lab.config import GATEWAY, SUBNET, Machine, machines
from lab.machines.image import reference
from lab.podman import podman
from tests.e2e.conftest import UP_LIMIT_S, Stack, make, run_lab

BY_RUNNING = (
    "/etc/.pwd.lock",
    "/etc/cni/net.d",
    "/opt/containerd/",
    "/etc/machine-id",
    "/etc/ssh/ssh_host_",
    "/root/.ssh/authorized_keys",
    "/var/lib/apt/",
    "/var/lib/containerd",
    "/var/lib/dbus/machine-id",
    "/var/lib/haproxy/dev",
    "/var/lib/systemd/",
    "/var/log/",
    "/var/cache/",
    "/var/tmp/systemd-private-",
)
"""What a machine changes on its own disk by running, whatever Argus does."""


def test_destroy_leaves_bare_machines_for_the_next_up(stack: Stack) -> None:
    stack.pulumi("destroy", "--yes", "--skip-preview")
    left = {machine.name: _traces(machine) for machine in machines()}
    assert not any(left.values()), json.dumps(left, indent=2)

    make("up", UP_LIMIT_S)
    stack.connect()
    assert len(stack.cluster.nodes()) == len(left)


def _traces(machine: Machine) -> list[str]:
    """What a machine still has of the cluster: files that its image lacks, containers, processes, rules, addresses."""
    found = _changed_files(machine)
    for command in (
        "find /var/lib/kubelet /var/lib/etcd /var/lib/argus -mindepth 1 | head",
        "ctr --namespace k8s.io containers list --quiet | head",
        "ps -eo comm= | grep -E '^(kube|etcd|keepalived|coredns)' || true",
        # What Debian's tools leave of an emptied table: the frame without a rule.
        r"nft list ruleset | grep -vE '^\s*(table .*\{|chain .*\{|type .* policy accept;|\}|)$' || true",
    ):
        found += _on(machine, command)
    for link in json.loads("".join(_on(machine, "ip -json -4 address show scope global"))):
        held = {entry["local"] for entry in link["addr_info"]}
        found += [f"address {address} on {link['ifname']}" for address in held - {str(machine.address)}]
    found += [
        f"route {route}"
        for route in _on(machine, "ip route show")
        if not route.startswith((f"default via {GATEWAY} dev eth0 ", f"{SUBNET} dev eth0 "))
    ]
    return found


def _changed_files(machine: Machine) -> list[str]:
    """The files that differ from the machine's image, in content and not in time alone."""
    image, disk = Path(podman("image", "mount", reference())), Path(podman("mount", machine.container))
    try:
        changed = [line.split(" ", 1) for line in podman("diff", machine.container).splitlines()]
        return [
            f"{kind} {path}"
            for kind, path in changed
            if not path.startswith(BY_RUNNING)
            and not (disk / path[1:]).is_dir()
            and not (kind == "C" and filecmp.cmp(image / path[1:], disk / path[1:], shallow=False))
        ]
    finally:
        podman("umount", machine.container)
        podman("image", "unmount", reference())


def _on(machine: Machine, command: str) -> list[str]:
    return run_lab("ssh", machine.name, "--", command).splitlines()
