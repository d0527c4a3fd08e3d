import json
from pathlib import Path

import pytest

from lab import network

NAMES = (*network._SYSCTLS, *network._OFF, *network._CHANGED_BY_MACHINES)


@pytest.fixture
def kernel(lab_state: Path) -> Path:
    for name in NAMES:
        path = lab_state / "sys" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0\n")
    return lab_state / "sys"


def values(kernel: Path) -> dict[str, str]:
    return {name: (kernel / name.replace(".", "/")).read_text().strip() for name in NAMES}


def test_the_kernels_settings_are_put_back_also_those_that_machines_changed(kernel: Path) -> None:
    before = values(kernel)
    network.set_sysctls()
    assert values(kernel)["net.ipv4.ip_forward"] == "1"
    (kernel / "vm/overcommit_memory").write_text("1\n")
    # A second `up` must not mistake the lab's own settings for the host's.
    network.set_sysctls()
    network.restore_sysctls()
    assert values(kernel) == before


def test_what_the_host_s_rules_would_change_does_not_pass_them(kernel: Path) -> None:
    path = kernel / "net/bridge/bridge-nf-call-iptables"
    path.write_text("1\n")
    network.set_sysctls()
    assert path.read_text() == "0"
    network.restore_sysctls()
    assert path.read_text() == "1"


def test_a_setting_that_an_earlier_lab_did_not_know_is_put_back(kernel: Path) -> None:
    network.set_sysctls()
    saved = kernel.parent / "sysctls.json"
    known = json.loads(saved.read_text())
    name = network._OFF[0]
    saved.write_text(json.dumps({each: value for each, value in known.items() if each != name}))
    (kernel / name.replace(".", "/")).write_text("1\n")
    network.set_sysctls()
    assert json.loads(saved.read_text()) == {**known, name: "1"}


def test_a_setting_that_is_higher_already_stays(kernel: Path) -> None:
    (kernel / "fs/inotify/max_user_watches").write_text("9999999\n")
    network.set_sysctls()
    assert values(kernel)["fs.inotify.max_user_watches"] == "9999999"


def test_a_kernel_without_a_setting_is_no_obstacle(kernel: Path) -> None:
    for name in ("vm/max_map_count", "net/bridge/bridge-nf-call-iptables"):
        (kernel / name).unlink()
    network.set_sysctls()
    saved = json.loads((kernel.parent / "sysctls.json").read_text())
    assert {"vm.max_map_count", "net.bridge.bridge-nf-call-iptables"}.isdisjoint(saved)


@pytest.mark.parametrize(
    ("described", "same"),
    [
        ({"driver": "bridge", "subnets": [{"subnet": "10.77.0.0/24", "gateway": "10.77.0.1"}]}, True),
        ({"driver": "bridge", "subnets": [{"subnet": "10.78.0.0/24", "gateway": "10.78.0.1"}]}, False),
        ({"driver": "macvlan", "subnets": [{"subnet": "10.77.0.0/24", "gateway": "10.77.0.1"}]}, False),
        ({"driver": "bridge", "subnets": None}, False),
    ],
)
def test_a_network_with_other_settings_is_recognised(described: dict[str, object], same: bool) -> None:
    assert network._matches(described) is same
