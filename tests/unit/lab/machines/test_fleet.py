from lab.config import machine
from lab.machines import fleet


def test_a_machine_is_its_own_host_with_disks_of_its_own() -> None:
    arguments = fleet._run_arguments(machine("worker2"), "image:1")
    assert "--hostname=worker2" in arguments
    assert "--ip=10.77.0.22" in arguments
    assert "--volume=argus-lab-worker2-etcd:/var/lib/etcd" in arguments
    assert arguments[-2:] == ["image:1", "/sbin/init"]


def test_a_machine_is_outdated_by_a_new_image_and_by_a_new_key() -> None:
    made = fleet._specification(machine("cp1"), "image:1", "key a")
    assert made == fleet._specification(machine("cp1"), "image:1", "key a")
    assert made != fleet._specification(machine("cp1"), "image:2", "key a")
    assert made != fleet._specification(machine("cp1"), "image:1", "key b")
