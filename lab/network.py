"""The machines' network and the kernel settings that they need of the host; `lab down` undoes both."""

import json
from pathlib import Path
from typing import Any

from lab.config import GATEWAY, NETWORK, STATE, SUBNET
from lab.podman import podman, remove_container, succeeds
from lab.progress import say

_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    # systemd, containerd and kubelet of five machines watch files under one kernel.
    "fs.inotify.max_user_instances": "8192",
    "fs.inotify.max_user_watches": "1048576",
}
_OFF = ("net.bridge.bridge-nf-call-iptables",)
"""What machines send each other must not pass the host's rules: podman's give what goes to a pod the host's address."""
_CHANGED_BY_MACHINES = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "vm.max_map_count",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
"""Kernel settings that the kubelet and Argus's scripts change on a machine; in the lab they change the host."""
_KERNEL = Path("/proc/sys")
_SAVED = STATE / "sysctls.json"


def ensure() -> None:
    """Create the network, or recreate it if its settings differ."""
    if succeeds("network", "exists", NETWORK):
        if _matches(json.loads(podman("network", "inspect", NETWORK))[0]):
            return
        say(f"the network {NETWORK} has other settings; recreating it")
        remove()
    podman(
        "network",
        "create",
        "--driver=bridge",
        f"--subnet={SUBNET}",
        f"--gateway={GATEWAY}",
        "--disable-dns",
        "--label=dev.argus.lab=network",
        NETWORK,
    )


def remove() -> None:
    """Remove the network and the containers on it."""
    if not succeeds("network", "exists", NETWORK):
        return
    for container in podman("ps", "--all", "--filter", f"network={NETWORK}", "--format", "{{.Names}}").split():
        remove_container(container)
    podman("network", "rm", "--force", NETWORK)


def set_sysctls() -> None:
    """Set the kernel settings that the machines need; the first time, save the host's values."""
    before = json.loads(_SAVED.read_text()) if _SAVED.exists() else {}
    values = {name: _read(name) for name in (*_SYSCTLS, *_OFF, *_CHANGED_BY_MACHINES) if name not in before}
    before |= {name: value for name, value in values.items() if value is not None}
    _SAVED.parent.mkdir(parents=True, exist_ok=True)
    _SAVED.write_text(json.dumps(before, indent=2) + "\n")
    for name, value in _SYSCTLS.items():
        now = _read(name)
        if now is None or int(now) < int(value):
            _path(name).write_text(value)
    for name in _OFF:
        if _read(name) not in {None, "0"}:
            _path(name).write_text("0")


def restore_sysctls() -> None:
    """Restore the kernel settings from before the lab."""
    if not _SAVED.exists():
        return
    for name, value in json.loads(_SAVED.read_text()).items():
        if _read(name) != value:
            _path(name).write_text(value)
    _SAVED.unlink()


def _read(name: str) -> str | None:
    path = _path(name)
    return path.read_text().strip() if path.exists() else None


def _path(name: str) -> Path:
    return _KERNEL / name.replace(".", "/")


def _matches(network: dict[str, Any]) -> bool:
    subnets = [(subnet.get("subnet"), subnet.get("gateway")) for subnet in network.get("subnets") or []]
    return network.get("driver") == "bridge" and subnets == [(str(SUBNET), str(GATEWAY))]
