"""The machines as containers: created once, started if stopped, and recreated if incomplete or outdated."""

import hashlib
import json
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from lab.config import NETWORK, LabError, Machine
from lab.machines import image, ssh
from lab.podman import (
    create_volume,
    inspect_container,
    labelled,
    podman,
    remove_container,
    remove_containers,
    remove_volume,
    running,
    succeeds,
)
from lab.progress import now, say, step, wait_for

LABEL = "dev.argus.lab=machine"
_SPEC_LABEL = "dev.argus.lab.spec"
DISKS = ("/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet", "/var/lib/argus")
"""A machine's directories on volumes: they need a real file system, not an overlay."""
_BOOT_SECONDS = 120
_STOP_SECONDS = 60.0
_INIT = (
    "at=/sys/fs/cgroup/systemd; if mountpoint -q $at/release_agent; then umount $at/release_agent $at; fi; "
    "exec /sbin/init"
)
"""Starts systemd. On cgroup v1, podman lays the host's `systemd` hierarchy over the machine's own, for all machines.

Each kubelet then finds the pods of the others there, takes them for orphans, and spends half of its CPU on trying to
remove them. So what podman mounted goes, and the machine's own is seen.
"""
_COMPLETE = frozenset({"running", "exited", "stopped"})
"""The states of a container that was started at least once."""


def ensure(machines: Iterable[Machine]) -> None:
    """Make and start every machine, and wait until it answers over SSH."""
    fleet = tuple(machines)
    references = {suite: image.ensure(suite) for suite in sorted({machine.suite for machine in fleet})}
    public_key = ssh.ensure_key().with_suffix(".pub").read_text()
    _remove_strangers(fleet)
    with step(f"{len(fleet)} machines") as shown:
        for machine in fleet:
            shown.now(f"starting {machine.name}")
            _ensure_container(machine, references[machine.suite], public_key)
        for number, machine in enumerate(fleet):
            shown.now(done=number, total=len(fleet))
            wait_for(f"SSH to {machine.name}", partial(_not_ready, machine), timeout=_BOOT_SECONDS)


def add(machine: Machine) -> None:
    """Make and start one more machine, which need not be in the stack, and wait until it answers over SSH."""
    _ensure_container(machine, image.ensure(machine.suite), ssh.ensure_key().with_suffix(".pub").read_text())
    wait_for(f"SSH to {machine.name}", partial(_not_ready, machine), timeout=_BOOT_SECONDS)


def remove(machine: Machine) -> None:
    """Remove one machine with its disks, in any state."""
    remove_container(machine.container)
    _remove_disks(machine)


def outdated(machines: Iterable[Machine]) -> list[Machine]:
    """The existing machines whose image, address or key has changed since they were made."""
    public_key = ssh.ensure_key().with_suffix(".pub").read_text()
    found = [(machine, inspect_container(machine.container)) for machine in machines]
    return [
        machine
        for machine, container in found
        if container is not None
        and container["Config"]["Labels"].get(_SPEC_LABEL)
        != _specification(machine, image.reference(machine.suite), public_key)
    ]


def any_exists() -> bool:
    """Whether any machine of a lab exists, in any state."""
    return bool(labelled("ps", LABEL))


def remove_all() -> None:
    """Remove every machine with its disks, including those no longer in the configuration."""
    if containers := labelled("ps", LABEL):
        now(f"removing {', '.join(containers)}")
        remove_containers(containers)
    for volume in labelled("volume", LABEL):
        remove_volume(volume)


def kill(machine: Machine) -> None:
    """Stop the machine like a power cut; its disks stay."""
    if not running(machine.container):
        raise LabError(f"{machine.name} does not run")
    # Podman waits some seconds for the end, and fails if a busy host needs more.
    succeeds("kill", "--signal", "KILL", machine.container)
    wait_for(
        f"{machine.name} to stop",
        lambda: "it still runs" if running(machine.container) else None,
        timeout=_STOP_SECONDS,
    )


def start(machine: Machine) -> None:
    """Start a stopped machine and wait for its SSH."""
    if inspect_container(machine.container) is None:
        raise LabError(f"{machine.name} does not exist; run `make up`")
    podman("start", machine.container)
    wait_for(f"SSH to {machine.name}", partial(_not_ready, machine), timeout=_BOOT_SECONDS)


def status(machine: Machine) -> str:
    """The machine's state, in a word or a line."""
    container = inspect_container(machine.container)
    if container is None:
        return "absent"
    if not container["State"]["Running"]:
        return "stopped"
    return _not_ready(machine) or "ready"


def certificates_until(machine: Machine) -> str | None:
    """When a control plane's certificate expires, as openssl prints it; None if there is none."""
    reached, printed = ssh.answer(machine, "openssl x509 -noout -enddate -in /etc/kubernetes/pki/apiserver.crt")
    return printed.removeprefix("notAfter=") if reached and printed.startswith("notAfter=") else None


def _ensure_container(machine: Machine, reference: str, public_key: str) -> None:
    container = inspect_container(machine.container)
    if container is not None and container["State"]["Status"] not in _COMPLETE:
        say(f"{machine.name}: its creation was interrupted ({container['State']['Status']}); recreating it")
        remove(machine)
        container = None
    if container is None:
        _remove_disks(machine)
        for volume in _volumes(machine).values():
            create_volume(volume, LABEL)
        specification = f"--label={_SPEC_LABEL}={_specification(machine, reference, public_key)}"
        podman("create", specification, *_run_arguments(machine, reference))
    if container is None or not container["State"]["Running"]:
        _authorise(machine, public_key)
        podman("start", machine.container)


def _specification(machine: Machine, reference: str, public_key: str) -> str:
    """A hash of everything that the machine is made from."""
    return hashlib.sha256(json.dumps([_run_arguments(machine, reference), public_key]).encode()).hexdigest()[:16]


def _run_arguments(machine: Machine, reference: str) -> list[str]:
    disks = [f"--volume={volume}:{path}" for path, volume in _volumes(machine).items()]
    return [
        f"--name={machine.container}",
        f"--hostname={machine.name}",
        f"--label={LABEL}",
        f"--network={NETWORK}",
        f"--ip={machine.address}",
        # Derived from the IP address, so that it survives a restart, like a network card's: other machines cache it.
        f"--mac-address=02:00:{machine.address.packed.hex(':')}",
        # systemd runs as process 1 in its own cgroup namespace; otherwise no pod starts on cgroup v1.
        "--systemd=always",
        "--privileged",
        "--cgroupns=private",
        "--ulimit=host",
        "--pids-limit=-1",
        *disks,
        reference,
        "/bin/sh",
        "-c",
        _INIT,
    ]


def _authorise(machine: Machine, public_key: str) -> None:
    """Install the SSH key before the machine starts, as a cloud provider's first boot would."""
    mount = podman("mount", machine.container)
    try:
        for home in ("root", "home/argus"):
            folder = Path(mount) / home / ".ssh"
            keys = folder / "authorized_keys"
            keys.write_text(public_key)
            keys.chmod(0o600)
            os.chown(keys, folder.stat().st_uid, folder.stat().st_gid)
    finally:
        podman("umount", machine.container)


def _not_ready(machine: Machine) -> str | None:
    if not running(machine.container):
        return f"the container {machine.container} is not running; see `podman logs {machine.container}`"
    reached, printed = ssh.answer(machine, "systemctl is-system-running")
    if printed in {"running", "degraded"}:
        return None
    source = "systemctl" if reached or printed in {"starting", "initializing"} else "ssh"
    return f"{source} printed {printed!r}"


def _volumes(machine: Machine) -> dict[str, str]:
    return {path: f"{machine.container}-{path.rsplit('/', 1)[1]}" for path in DISKS}


def _remove_disks(machine: Machine) -> None:
    for volume in _volumes(machine).values():
        if succeeds("volume", "exists", volume):
            remove_volume(volume)


def _remove_strangers(fleet: tuple[Machine, ...]) -> None:
    wanted = {machine.container for machine in fleet}
    for container in labelled("ps", LABEL):
        if container not in wanted:
            say(f"removing {container}: the stack has no such machine")
            remove_container(container)
