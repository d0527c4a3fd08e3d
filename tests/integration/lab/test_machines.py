"""One real machine of each suite on a separate network, beside a lab that may run on this host."""

from pathlib import Path

import pytest

from lab import network
from lab.config import LabError, Machine
from lab.machines import fleet, image, ssh
from lab.podman import create_volume, inspect_container, labelled, podman, remove_volume, succeeds
from tests.integration.lab.conftest import LABEL, NETWORK, needs_machines, on

pytestmark = needs_machines


def identifier(machine: Machine) -> str:
    container = inspect_container(machine.container)
    assert container is not None
    return str(container["Id"])


def test_a_machine_is_a_host(machine: Machine) -> None:
    assert on(machine, "hostname") == "trial"
    assert on(machine, ". /etc/os-release; echo $VERSION_CODENAME") == machine.suite
    assert on(machine, "systemctl --failed --no-legend --plain") == ""
    assert on(machine, "systemctl is-active containerd ssh dbus") == "active\nactive\nactive"
    assert on(machine, "findmnt --noheadings --output PROPAGATION /") == "shared"
    assert len(on(machine, "cat /etc/machine-id")) == 32
    # Its processes are in control groups of its own, or kubelets would try to remove each other's pods.
    assert "/../" not in on(machine, "cat /proc/1/cgroup")
    assert not on(machine, "swapon --show --noheadings")
    # Overlay mounts and fsync need a real file system.
    for disk in fleet.DISKS:
        assert on(machine, f"stat --file-system --format=%T {disk}") != "overlayfs"


def test_a_new_disk_has_nothing_of_one_whose_removal_was_cut_short() -> None:
    name = "argus-test-left-over"
    folder = Path(podman("info", "--format", "{{.Store.VolumePath}}").strip()) / name / "_data"
    (folder / "log").mkdir(parents=True)
    (folder / "log/meta.properties").write_text("cluster.id=another\n")
    (folder / "left").symlink_to("/etc")
    create_volume(name, LABEL)
    try:
        assert list(folder.iterdir()) == []
    finally:
        remove_volume(name)


def test_starting_again_changes_nothing(machine: Machine) -> None:
    before = identifier(machine)
    fleet.ensure([machine])
    assert identifier(machine) == before
    assert fleet.outdated([machine]) == []


def test_disks_and_identity_survive_a_power_cut(machine: Machine) -> None:
    who = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub"
    before = on(machine, who)
    on(machine, "echo kept > /var/lib/etcd/note && sync")
    fleet.kill(machine)
    assert fleet.status(machine) == "stopped"
    with pytest.raises(LabError, match="trial does not run"):
        fleet.kill(machine)
    fleet.start(machine)
    assert fleet.status(machine) == "ready"
    assert on(machine, "cat /var/lib/etcd/note") == "kept"
    assert on(machine, who) == before


def test_a_half_made_machine_is_made_anew(machine: Machine) -> None:
    fleet.remove_all()
    podman("create", f"--name={machine.container}", f"--label={LABEL}", image.reference(machine.suite), "/sbin/init")
    fleet.ensure([machine])
    assert fleet.status(machine) == "ready"
    assert on(machine, "hostname") == "trial"


def test_a_machine_made_with_another_key_is_outdated(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "SSH_KEY", tmp_path / "another")
    assert fleet.outdated([machine]) == [machine]


def test_a_machine_that_the_stack_no_longer_names_goes(machine: Machine) -> None:
    fleet.ensure([])
    assert fleet.status(machine) == "absent"


def test_nothing_is_left_when_it_is_removed(machine: Machine) -> None:
    fleet.remove_all()
    network.remove()
    assert labelled("ps", LABEL) == labelled("volume", LABEL) == []
    assert not succeeds("network", "exists", NETWORK)


def test_a_network_with_other_settings_is_replaced_with_what_hangs_on_it(trial: Machine) -> None:
    podman("network", "create", "--subnet=10.79.0.0/24", NETWORK)
    podman("create", "--name=argus-trial-stray", f"--network={NETWORK}", image.reference(trial.suite), "/sbin/init")
    network.ensure()
    assert inspect_container("argus-trial-stray") is None
    assert "10.78.0.0/24" in podman("network", "inspect", NETWORK)
