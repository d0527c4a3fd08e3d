"""Breaks, adds and inspects the lab's machines for the end-to-end tests."""

import filecmp
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

from lab.config import GATEWAY, STACK_FILE, STATE, SUBNET, Machine, kubernetes_endpoint, machines
from lab.machines import ssh
from lab.machines.image import reference
from lab.podman import podman
from tests.e2e.cluster import ClusterClient, is_ready
from tests.e2e.conftest import PULUMI_LIMIT_S, run_lab
from tests.e2e.waiting import wait_until

HOST_S = 120
EVERYBODY = tuple(machine.name for machine in machines())
CONTROL_PLANES = tuple(name for name in EVERYBODY if name.startswith("cp"))

Edit = Callable[[dict[str, Any]], None]
"""A change of the stack's configuration or a part of it."""

KUBECTL = "KUBECACHEDIR=/var/lib/argus/kubectl kubectl --kubeconfig /etc/kubernetes/admin.conf"
"""As in Argus's own scripts, with a cache outside the home folder of the SSH user."""

BY_RUNNING = (
    "/etc/.pwd.lock",
    "/etc/.updated",
    "/etc/cni/net.d",
    "/opt/containerd/",
    "/etc/machine-id",
    "/etc/ssh/ssh_host_",
    "/root/.ssh/authorized_keys",
    "/home/argus/.ssh/authorized_keys",
    "/var/.updated",
    "/var/lib/apt/",
    "/var/lib/containerd",
    "/var/lib/dbus/machine-id",
    "/var/lib/haproxy/dev",
    "/var/lib/systemd/",
    "/var/log/",
    "/var/cache/",
    "/var/tmp/systemd-private-",
)
"""Files that change on any running machine, independently of Argus."""


def on(machine: str, command: str, limit_s: float = PULUMI_LIMIT_S) -> list[str]:
    """Run a command on a machine and return the printed lines. Fails with its error."""
    return run_lab("ssh", machine, "--", command, limit_s=limit_s).splitlines()


def on_host(machine: Machine, command: str) -> list[str]:
    """Like `on`, for a machine that the committed stack need not name."""
    done = subprocess.run(ssh.command(machine, command), capture_output=True, text=True, timeout=HOST_S, check=False)
    assert done.returncode == 0, f"{machine.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.splitlines()


def holder_of_the_endpoint(machines: Iterable[str]) -> str:
    """The machine that holds the virtual IP."""
    held = f" {kubernetes_endpoint()}/"
    return next(name for name in machines if any(held in f" {line}" for line in on(name, "ip -o -4 addr show")))


def kubectl(machine: str, command: str) -> list[str]:
    """Run kubectl on a control plane as administrator and return the printed lines."""
    return on(machine, f"{KUBECTL} {command}")


def etcdctl(machine: str, command: str) -> list[str]:
    """Run etcdctl on a control plane and return the printed lines."""
    certificates = "--cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/peer.crt"
    options = f"--endpoints=https://127.0.0.1:2379 {certificates} --key=/etc/kubernetes/pki/etcd/peer.key"
    return kubectl(machine, f"-n kube-system exec etcd-$(cat /var/lib/argus/member) -- etcdctl {options} {command}")


def etcd_members(machine: str) -> dict[str, str]:
    """The host in each etcd member's peer URL by the member's name, from this control plane."""
    members = [line.split(", ") for line in etcdctl(machine, "member list")]
    return {fields[2]: str(httpx.URL(fields[3]).host) for fields in members}


def lose_etcd(cluster: ClusterClient, names: Iterable[str]) -> None:
    """Remove etcd's data from these machines, a majority, and wait until the API no longer answers."""
    for name in names:
        on(name, "rm -r /etc/kubernetes/manifests/etcd.yaml /var/lib/etcd/member")
    wait_until("etcd without a majority", lambda: None if cluster.unreachable() else "it answers", limit_s=60)


def edited_stack(folder: Path, edit: Edit) -> Path:
    """A copy of the running stack's file with `argus:machines` changed by `edit`."""
    return stack_with(folder, lambda config: edit(config["argus:machines"]))


def stack_that_reruns(folder: Path, word: str) -> Path:
    """A copy of the running stack's file that repeats every step."""
    return stack_with(folder, lambda config: config["argus:ssh"].update(rerun=word))


def stack_of_version(folder: Path, version: str) -> Path:
    """A copy of the running stack's file with another Kubernetes version."""
    return stack_with(folder, lambda config: config["argus:cluster"].update(kubernetesVersion=version))


def stack_with(folder: Path, edit: Edit) -> Path:
    """A copy of the running stack's file with its configuration changed by `edit`."""
    stack = yaml.safe_load((STATE / STACK_FILE.name).read_text())
    edit(stack["config"])
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / STACK_FILE.name
    copy.write_text(yaml.safe_dump(stack))
    return copy


def without(*names: str) -> Edit:
    """Remove machines."""

    def edit(listed: dict[str, Any]) -> None:
        for kind in ("controlPlanes", "workers"):
            listed[kind] = [each for each in listed[kind] if each["name"] not in names]

    return edit


def joined_by(machine: Machine) -> Edit:
    """Add a worker."""

    def edit(listed: dict[str, Any]) -> None:
        listed["workers"].append({"name": machine.name, "address": str(machine.address)})

    return edit


def at(name: str, address: str) -> Edit:
    """Give a machine another address."""
    return _with(name, address=address)


def known_by(name: str, host_key: str) -> Edit:
    """State a machine's SSH host key."""
    return _with(name, hostKey=host_key)


def on_standby(name: str) -> Edit:
    """Put a worker on standby."""
    return _with(name, standby=True)


def _with(name: str, **values: str | bool) -> Edit:
    def edit(listed: dict[str, Any]) -> None:
        for each in (*listed["controlPlanes"], *listed["workers"]):
            if each["name"] == name:
                each.update(values)

    return edit


def unready_nodes(cluster: ClusterClient, wanted: Iterable[str]) -> str | None:
    """None once exactly these nodes exist and are ready; until then what is wrong."""
    ready = {node["metadata"]["name"] for node in cluster.nodes() if is_ready(node)}
    return None if ready == set(wanted) else f"ready nodes: {sorted(ready)}"


def workloads(cluster: ClusterClient) -> Counter[str]:
    """The number of ready pods of each of the pipeline's workloads."""
    return Counter(name for name, pod in permanent_pods(cluster) if is_ready(pod))


def running(cluster: ClusterClient) -> Counter[tuple[str, str]]:
    """The number of pods of each of the pipeline's workloads on each machine, ready or not."""
    return Counter(
        (name, pod["spec"]["nodeName"]) for name, pod in permanent_pods(cluster) if pod["status"]["phase"] == "Running"
    )


def missing_pods(cluster: ClusterClient, wanted: Counter[str]) -> str | None:
    """None once every workload has its ready pods; until then what is missing."""
    missing = wanted - workloads(cluster)
    return f"not ready: {dict(missing)}" if missing else None


def permanent_pods(cluster: ClusterClient) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pods of permanent workloads that may move, with the workload's name, without those being deleted."""
    for pod in cluster.pods():
        if any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", ())):
            continue
        labels = pod["metadata"]["labels"]
        component = labels.get("app.kubernetes.io/component", "job")
        if component != "job" and "deletionTimestamp" not in pod["metadata"]:
            yield f"{labels['app.kubernetes.io/name']}/{component}", pod


def traces(machine: Machine) -> list[str]:
    """A machine's remains of the cluster: changed files, containers, processes, firewall rules, addresses."""
    found = changed_files(machine)
    for command in (
        "find /var/lib/kubelet /var/lib/etcd /var/lib/argus -mindepth 1 | head",
        "ctr --namespace k8s.io containers list --quiet | head",
        "ps -eo comm= | grep -E '^(kube|etcd|keepalived|coredns)' || true",
        # Debian's tools leave an emptied table as a frame without rules.
        r"nft list ruleset | grep -vE '^\s*(table .*\{|chain .*\{|type .* policy accept;|\}|)$' || true",
    ):
        found += on_host(machine, command)
    for link in json.loads("".join(on_host(machine, "ip -json -4 address show scope global"))):
        held = {entry["local"] for entry in link["addr_info"]}
        found += [f"address {address} on {link['ifname']}" for address in held - {str(machine.address)}]
    found += [
        f"route {route}"
        for route in on_host(machine, "ip route show")
        if not route.startswith((f"default via {GATEWAY} dev eth0 ", f"{SUBNET} dev eth0 "))
    ]
    return found


def changed_files(machine: Machine) -> list[str]:
    """The files whose content differs from the machine's image."""
    of = reference(machine.suite)
    image, disk = Path(podman("image", "mount", of)), Path(podman("mount", machine.container))
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
        podman("image", "unmount", of)
