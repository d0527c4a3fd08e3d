from ipaddress import IPv4Address

import pytest

from lab.config import LabError, Machine
from lab.machines import fleet

WORKER = Machine(name="worker2", address=IPv4Address("10.77.0.22"))


def test_a_machine_is_its_own_host_with_disks_of_its_own() -> None:
    arguments = fleet._run_arguments(WORKER, "image:1")
    assert "--hostname=worker2" in arguments
    assert "--ip=10.77.0.22" in arguments
    assert "--volume=argus-lab-worker2-etcd:/var/lib/etcd" in arguments
    assert arguments[-4:] == ["image:1", "/bin/sh", "-c", fleet._INIT]


def test_a_machine_is_outdated_by_a_new_image_and_by_a_new_key() -> None:
    made = fleet._specification(WORKER, "image:1", "key a")
    assert made == fleet._specification(WORKER, "image:1", "key a")
    assert made != fleet._specification(WORKER, "image:2", "key a")
    assert made != fleet._specification(WORKER, "image:1", "key b")


@pytest.mark.parametrize("ends", [True, False])
def test_a_machine_is_killed_when_it_has_stopped_however_long_podman_waited(
    monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    running = iter([True, True, *([not ends] * 1000)])
    monkeypatch.setattr(fleet, "running", lambda _: next(running))
    monkeypatch.setattr(fleet, "succeeds", lambda *_: False)
    monkeypatch.setattr(fleet, "_STOP_SECONDS", 0.5)
    if ends:
        fleet.kill(WORKER)
    else:
        with pytest.raises(LabError, match=f"{WORKER.name} to stop.*it still runs"):
            fleet.kill(WORKER)
