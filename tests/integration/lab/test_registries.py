"""A real machine of each suite pulls from a registry with an authority of its own and logins: as the kubelet pulls."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import versions
from components.cluster.args import MachineArgs
from components.cluster.container_runtime import ContainerRuntime
from components.cluster.machine import script
from components.config import registries as known
from components.config.sections import Images
from lab.config import Machine
from lab.machines import ssh
from lab.podman import podman
from tests.e2e.machines import changed_files
from tests.integration.lab.conftest import GATEWAY, needs_machines, on
from tests.integration.registry import PrivateRegistry, private_registry
from tests.unit.components.cluster.conftest import cluster_args, cluster_section, machines, worker
from tests.unit.components.cluster.conftest import machine as control_plane
from tests.unit.components.conftest import Recorder

pytestmark = needs_machines

PASSWORD = "p\"ss\\wörd ' $(id)"
READER = {"username": "reader", "password": PASSWORD}
PAUSE = f"pause:{versions.PAUSE}"
CONFIG = "/etc/containerd/config.toml"
STEP_S = 120
_UNAUTHORIZED = "401 Unauthorized|authorization failed"
"""As containerd 1.6 and 1.7 say it."""


@pytest.fixture
def registry(machine: Machine, tmp_path: Path) -> Iterator[PrivateRegistry]:
    """A registry on the machine's network, with two images."""
    (tmp_path / "text").write_text("an image")
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY text /\n")
    with private_registry(tmp_path / "registry", str(GATEWAY)) as made:
        made.let_in({"writer": "writes"})
        names = [f"{made.host}/{name}" for name in (PAUSE, "video/other:1")]
        podman("build", "--isolation=chroot", *(f"--tag={name}" for name in names), str(tmp_path), timeout=300)
        try:
            for name in names:
                authority = f"--cert-dir={tmp_path / 'authority'}"
                (tmp_path / "authority").mkdir(exist_ok=True)
                (tmp_path / "authority/ca.crt").write_text(made.ca)
                podman("push", "--quiet", "--creds=writer:writes", authority, name, timeout=300)
        finally:
            podman("rmi", *names)
        made.let_in({READER["username"]: READER["password"]})
        yield made


def step(machine: Machine, images: dict[str, Any], **cluster: Any) -> subprocess.CompletedProcess[str]:
    """Run the step that configures containerd and pulls the first images, as `pulumi up` does.

    kubeadm is a program that names the images alone.
    """
    section = cluster_section(**cluster)
    host = str(machine.address)
    args = cluster_args(
        machines=machines([control_plane("cp1", "192.0.2.11")], [worker(machine.name, host)]),
        cluster=section,
        registries=known.of_machines(section, Images.model_validate(images)),
    )
    keys = replace(args.ssh, host_keys={host: ["ecdsa-sha2-nistp256 key"]}, options=args.ssh.options)
    recorder = Recorder()
    own: MachineArgs = replace(args, ssh=keys).on(args.machines.workers[0])
    recorder.run(lambda: ContainerRuntime("step", own) and None)
    inputs = recorder.named("step-configured").inputs
    on(machine, "mkdir -p /var/lib/argus /usr/local/bin")
    named = f"{section.image_repository}/{PAUSE}"
    on(machine, f"printf '#!/bin/sh\\necho {named}\\n' >/usr/local/bin/kubeadm; chmod +x /usr/local/bin/kubeadm")
    command = ssh.command(machine, inputs["create"].removeprefix("sudo -n "))
    given = inputs.get("stdin") or ""
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=STEP_S)


PULL = """
put() { :; }
say() { echo "$*"; }
die() { say "$*"; exit 1; }
"""


def pull(machine: Machine, image: str) -> tuple[bool, str]:
    """Have containerd pull an image as the kubelet asks for it; whether it did, and what it said."""
    one = script("functions/release.sh").files[-1].read_text()
    return ssh.answer(machine, f"{PULL}\n{one}\npull_image {image}", timeout=STEP_S)


def has(machine: Machine, image: str) -> bool:
    # containerd 1.7 and newer warn of logins in its configuration, ctr too.
    return on(machine, f"ctr --namespace k8s.io images list -q name=={image} 2>/dev/null") == image


def undo(machine: Machine) -> None:
    done = subprocess.run(
        ssh.command(machine, script("container_runtime_delete.sh").render("root")),
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_S,
    )
    assert done.returncode == 0, done.stderr
    on(machine, "rm -rf /var/lib/argus/* /usr/local/bin/kubeadm")


def test_a_machine_pulls_by_login_and_authority_and_not_otherwise(machine: Machine, registry: PrivateRegistry) -> None:
    assert changed_files(machine) == []
    images: dict[str, Any] = {"registry": f"{registry.host}/video"}
    from_there = {"imageRepository": registry.host}
    pause, other = f"{registry.host}/{PAUSE}", f"{registry.host}/video/other:1"

    # Without the authority, without a login, and with a wrong one.
    for given, said in (
        ({}, "certificate signed by unknown authority"),
        (registry.stack(), _UNAUTHORIZED),
        (registry.stack(pull={**READER, "password": "wrong"}), _UNAUTHORIZED),
    ):
        done = step(machine, {**images, "registries": given}, **from_there)
        assert done.returncode != 0
        assert re.search(said, done.stderr), done.stderr
        assert f"cannot pull {pause} (see above)" in done.stderr
        assert not has(machine, pause)

    done = step(machine, {**images, "registries": registry.stack(pull=READER)}, **from_there)
    assert done.returncode == 0, done.stderr
    assert has(machine, pause)
    assert pull(machine, other) == (True, "")
    assert has(machine, other)
    assert on(machine, f"stat -c %a:%U {CONFIG}") == "600:root"
    # In no log, and in no file but that one.
    assert "rd ' $(id)" not in on(machine, "journalctl --no-pager --output cat")
    found = on(machine, r"grep -rlF 'rd '\'' $(id)' /etc /var/lib/argus /run 2>/dev/null || true").splitlines()
    assert found == [CONFIG]

    # Another password: by one run of the step.
    registry.let_in({READER["username"]: "another"})
    on(machine, f"ctr --namespace k8s.io images remove --sync {other} >/dev/null 2>&1")
    assert not pull(machine, other)[0]
    rotated = registry.stack(pull={**READER, "password": "another"})
    assert step(machine, {**images, "registries": rotated}, **from_there).returncode == 0
    assert pull(machine, other) == (True, "")

    undo(machine)
    assert changed_files(machine) == []


def test_a_mirror_with_a_login_is_asked_for_every_image(machine: Machine, registry: PrivateRegistry) -> None:
    images = {"registries": registry.stack(pull=READER)}
    done = step(machine, images, registryMirror=f"https://{registry.host}")
    assert done.returncode == 0, done.stderr
    assert has(machine, f"registry.k8s.io/{PAUSE}")
    undo(machine)
    assert changed_files(machine) == []
