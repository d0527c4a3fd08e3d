"""Encrypted volumes on a real machine of each suite, with real headers, keys and Tang servers.

A machine of the lab is a container, whose kernel opens no encrypted device. There a file system in clear stands for
what is opened, once the real cryptsetup has taken the key; on a machine whose kernel has dm-crypt all is real.
"""

import json
import subprocess
from collections.abc import Iterator

import pytest

from components.cluster.disks import VOLUMES_ROOT
from components.cluster.facts import Facts
from components.cluster.machine import program, script
from components.cluster.storage import MOUNT
from components.remote import Script
from lab.config import Machine
from lab.machines import ssh
from tests.integration.lab.conftest import needs_machines, on

pytestmark = [*needs_machines, pytest.mark.full]

PACKAGES = "cryptsetup-bin clevis tang e2fsprogs"
KEY_FILE = "/etc/argus/volume-key"
IMAGE = "/var/lib/argus/disks/kafka.img"
LOG = f"{VOLUMES_ROOT}/kafka/log"
FRAME = "a frame of a camera"
STEP_S = 120

IN_CLEAR = r"""#!/bin/bash
name=${*: -1}
case $1 in
  open)
    [[ " $* " != *" --test-passphrase "* ]] || exec /usr/sbin/cryptsetup "$@"
    /usr/sbin/cryptsetup "${@:1:$#-1}" --test-passphrase || exit
    free=$(losetup --find)
    [[ -b ${free%% *} ]] || mknod -m 0660 "${free%% *}" b 7 "${free//[^0-9]/}"
    mkdir -p /dev/mapper
    ln -s "$(losetup --find --show --offset $((2 ** 24)) "${*: -2:1}")" "/dev/mapper/$name" ;;
  close) losetup --detach "$(readlink "/dev/mapper/$name")" && rm "/dev/mapper/$name" ;;
  resize) [[ -b /dev/mapper/$name ]] ;;
  *) exec /usr/sbin/cryptsetup "$@" ;;
esac
"""


def run(machine: Machine, step: Script) -> str:
    """Run a step as `pulumi up` does. Returns what it said; fails with that."""
    command = ssh.command(machine, step.render("root"))
    done = subprocess.run(command, input="1000 asked", capture_output=True, text=True, check=False, timeout=STEP_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(machine: Machine, *tang: str, key_name: str, gib: int = 1) -> None:
    """A volume of Kafka's, encrypted."""
    volumes = [f"kafka {gib}"]
    mount = program(*MOUNT)
    given = {"root": VOLUMES_ROOT, "volumes": volumes, "bounded": True, "key_name": key_name, "tang": tang}
    run(machine, script("volumes.sh", **given, mount=mount))


def facts(machine: Machine) -> Facts:
    return Facts.parse(run(machine, script("facts.sh", virtual_ip="192.0.2.10", ports=["6443"], volumes=VOLUMES_ROOT)))


@pytest.fixture
def ready(machine: Machine) -> Iterator[Machine]:
    """A machine with the packages; it is left without volumes."""
    on(machine, f"apt-get -qq update && apt-get -qq install -y --no-install-recommends {PACKAGES}", limit_s=300)
    on(machine, "systemctl disable -q --now tangd.socket || true")
    if not facts(machine).encrypts:
        on(machine, f"cat >/usr/local/sbin/cryptsetup <<'FILE'\n{IN_CLEAR}FILE\nchmod +x /usr/local/sbin/cryptsetup")
    yield machine
    run(machine, script("volumes_delete.sh", root=VOLUMES_ROOT))
    on(machine, "systemctl stop 'tang-*'; rm -rf /usr/local/sbin/cryptsetup /srv/tang* /var/lib/argus/*")


def serve_tang(machine: Machine, port: int) -> str:
    """A Tang server on the machine; what the step is told of it."""
    command = f'socat TCP-LISTEN:{port},fork,reuseaddr EXEC:"/usr/libexec/tangd /srv/tang{port}"'
    on(machine, f"mkdir -p /srv/tang{port} && /usr/libexec/tangd-keygen /srv/tang{port}")
    on(machine, f"systemd-run --quiet --collect --unit tang-{port} {command} && sleep 1")
    return f"http://{machine.address}:{port} {on(machine, f'tang-show-keys {port}')}"


def keys(machine: Machine) -> list[str]:
    """The numbers of the key slots of the volume's header."""
    dump = json.loads(on(machine, f"cryptsetup luksDump --dump-json-metadata {IMAGE}"))
    assert {slot["kdf"]["type"] for slot in dump["keyslots"].values()} <= {"pbkdf2"}
    assert {segment["encryption"] for segment in dump["segments"].values()} == {"aes-xts-plain64"}
    return list(dump["keyslots"])


def opens(machine: Machine, key: str, image: str = IMAGE) -> bool:
    """Whether a key opens a volume."""
    tried = f"printf %s '{key}' | cryptsetup open --test-passphrase --key-file - {image}"
    return ssh.answer(machine, tried)[0]


def restart(machine: Machine) -> None:
    """Close the volume, and open it as at the machine's start."""
    on(machine, f"systemctl stop argus-volumes; umount {VOLUMES_ROOT}/kafka; cryptsetup close argus.volume.kafka")
    on(machine, "systemctl start argus-volumes", limit_s=60)


def test_a_container_is_told_from_a_machine_that_encrypts(machine: Machine) -> None:
    kind = on(machine, "systemd-detect-virt --container || true")
    assert facts(machine).encrypts == (kind == "none")


def test_another_key_replaces_the_former_and_the_undo_leaves_none(ready: Machine) -> None:
    make(ready, key_name="key1")
    on(ready, f"echo {FRAME} >{LOG} && sync")
    if facts(ready).encrypts:
        assert on(ready, "lsblk --noheadings --output TYPE /dev/mapper/argus.volume.kafka") == "crypt"
        assert on(ready, f"grep -c '{FRAME}' {IMAGE} || true") == "0"
        assert int(on(ready, f"stat -c %b {IMAGE}")) * 512 >= 2**30, "its blocks are its own from the start"
    assert on(ready, f"stat -c %a {KEY_FILE}") == "600"
    former = on(ready, f"tail -n 1 {KEY_FILE}")
    assert len(keys(ready)) == 1 and opens(ready, former)
    header = on(ready, f"head -c 16777216 {IMAGE} | sha256sum")
    make(ready, key_name="key1")
    assert on(ready, f"head -c 16777216 {IMAGE} | sha256sum") == header, "the second time nothing changes"

    make(ready, key_name="2027", gib=2)
    key = on(ready, f"tail -n 1 {KEY_FILE}")
    assert len(keys(ready)) == 1 and opens(ready, key) and not opens(ready, former)
    restart(ready)
    assert on(ready, f"cat {LOG}") == FRAME
    assert int(on(ready, f"df --output=size -m {VOLUMES_ROOT}/kafka | tail -n 1")) > 1500

    on(ready, f"ln {IMAGE} /var/lib/argus/thrown-away")
    run(ready, script("volumes_delete.sh", root=VOLUMES_ROOT))
    assert not opens(ready, key, "/var/lib/argus/thrown-away")
    assert on(ready, f"ls {KEY_FILE} {VOLUMES_ROOT} /dev/mapper/argus.volume.kafka 2>/dev/null || true") == ""
    assert "thrown-away" not in on(ready, "losetup --all")


def test_any_tang_server_opens_the_key_and_a_start_waits_for_one(ready: Machine) -> None:
    first, second = (serve_tang(ready, port) for port in (7501, 7502))
    make(ready, key_name="key1")
    clear = on(ready, f"tail -n 1 {KEY_FILE}")
    make(ready, first, second, key_name="key1")
    on(ready, f"echo {FRAME} >{LOG}")
    assert len(keys(ready)) == 1 and not opens(ready, clear)
    on(ready, "systemctl stop tang-7501")
    restart(ready)
    assert on(ready, f"cat {LOG}") == FRAME

    on(ready, "systemctl stop tang-7502")
    on(ready, f"systemctl stop argus-volumes; umount {VOLUMES_ROOT}/kafka; cryptsetup close argus.volume.kafka")
    on(ready, "systemctl start --no-block argus-volumes && sleep 3")
    assert on(ready, "systemctl show --value --property ActiveState argus-volumes") == "activating"
    assert "waiting for a Tang server" in on(ready, "journalctl --unit argus-volumes --output cat")
    again = 'socat TCP-LISTEN:7502,fork,reuseaddr EXEC:"/usr/libexec/tangd /srv/tang7502"'
    on(ready, f"systemd-run --quiet --collect --unit tang-7502 {again}")
    on(ready, "timeout 90 bash -c 'until systemctl is-active -q argus-volumes; do sleep 1; done'", limit_s=100)
    assert on(ready, f"cat {LOG}") == FRAME
