"""Volumes that are file systems of their own: real ones, on this computer's loop devices."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.cluster.machine import program
from components.cluster.storage import MOUNT
from tests.unit.components.cluster.conftest import Host

GIB = 2**30
ROOT = "/var/lib/argus/volumes"


def loop_devices() -> str:
    return subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=False).stdout


@pytest.fixture
def host(hosts: dict[str, Host]) -> Iterator[Host]:
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("only root may mount, and needs loop devices")
    worker = hosts["worker1"]
    yield worker
    worker.run("volumes_delete.sh", root=str(worker.path(ROOT)))
    assert str(worker.root) not in loop_devices()


def make(host: Host, *volumes: str, bounded: bool = True) -> subprocess.CompletedProcess[str]:
    return host.run(
        "volumes.sh",
        root=str(host.path(ROOT)),
        volumes=list(volumes),
        bounded=bounded,
        key_name="",
        tang="",
        mount=program(*MOUNT),
    )


def take(file: Path, size: int) -> None:
    """Fill a file system without writing."""
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def size(folder: Path) -> float:
    """The size of the file system that a folder is on, in GiB."""
    there = os.statvfs(folder)
    return there.f_blocks * there.f_frsize / GIB


def test_a_full_volume_takes_nothing_from_the_others(host: Host) -> None:
    make(host, "kafka 1", "consumer 1")
    kafka, consumer = host.path(ROOT) / "kafka", host.path(ROOT) / "consumer"
    assert kafka.is_mount() and consumer.is_mount()
    assert 0.8 < size(kafka) <= 1
    assert list(kafka.iterdir()) == [] and kafka.stat().st_mode & 0o777 == 0o770
    with pytest.raises(OSError, match="No space left"):
        take(consumer / "all", GIB)
    (kafka / "log").write_text("still written")
    assert host.path("/var/lib/argus/disks").stat().st_mode & 0o777 == 0o700, "for root alone"
    # Its blocks are its own from the start.
    assert (host.path("/var/lib/argus/disks") / "kafka.img").stat().st_blocks * 512 >= GIB


def test_it_is_made_once_and_grows_with_its_data(host: Host) -> None:
    make(host, "kafka 1")
    kafka = host.path(ROOT) / "kafka"
    (kafka / "log").write_text("kept")
    make(host, "kafka 1")
    assert (kafka / "log").read_text() == "kept" and size(kafka) <= 1
    told = make(host, "kafka 2").stderr
    if "when this machine starts again" in told:
        # Here root lacks the right to grow what is in use.
        subprocess.run(["umount", kafka], check=True)
        make(host, "kafka 2")
    assert (kafka / "log").read_text() == "kept" and 1.5 < size(kafka) <= 2
    # It does not shrink, and stays where the stack asks for folders again.
    make(host, "kafka 1")
    make(host, "kafka 2", bounded=False)
    assert (kafka / "log").read_text() == "kept" and 1.5 < size(kafka) <= 2


def test_it_is_there_again_after_a_restart_and_nothing_is_written_beside_it(host: Host) -> None:
    make(host, "kafka 1")
    kafka = host.path(ROOT) / "kafka"
    (kafka / "log").write_text("kept")
    subprocess.run(["umount", kafka], check=True)
    with pytest.raises(OSError, match="not permitted"):
        (kafka / "lost").write_text("on the bare disk")
    tool = host.path("/usr/local/lib/argus/mount-volumes")
    unit = host.path("/etc/systemd/system/argus-volumes.service").read_text()
    assert f"ExecStart={tool} {host.path(ROOT)}\n" in unit
    assert "RequiredBy=kubelet.service" in unit and "Before=kubelet.service" in unit
    for _ in range(2):
        subprocess.run([tool, host.path(ROOT)], check=True)
    assert (kafka / "log").read_text() == "kept"


def test_a_folder_with_data_stays_as_it_is(host: Host) -> None:
    make(host, "kafka 1", "consumer 1", bounded=False)
    kafka, consumer = host.path(ROOT) / "kafka", host.path(ROOT) / "consumer"
    assert not kafka.is_mount() and not host.path("/var/lib/argus/disks").exists()
    (kafka / "log").write_text("kept")
    assert "holds data already" in make(host, "kafka 1", "consumer 1").stderr
    assert not kafka.is_mount() and (kafka / "log").read_text() == "kept"
    assert consumer.is_mount()


def test_one_that_the_disk_has_no_room_for_is_refused_and_leaves_nothing(host: Host) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        make(host, "kafka 4000000")
    assert "the disk has no room for a volume of 4000000 GiB" in error.value.stderr
    assert list(host.path("/var/lib/argus/disks").iterdir()) == []


def test_the_undo_leaves_nothing(host: Host) -> None:
    make(host, "kafka 1")
    host.run("volumes_delete.sh", root=str(host.path(ROOT)))
    for path in (ROOT, "/var/lib/argus/disks", "/usr/local/lib/argus/mount-volumes"):
        assert not host.path(path).exists()
    assert "argus-volumes.service" in host.noted
    assert str(host.root) not in loop_devices()
