from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab import config
from lab.config import LabError
from tests.unit.stacks import LAB


@pytest.fixture(autouse=True)
def fresh_machines() -> Iterator[None]:
    config.machines.cache_clear()
    yield
    config.machines.cache_clear()


@pytest.fixture
def own_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "STACK_FILE", LAB)


@pytest.mark.usefixtures("own_stack")
def test_the_machines_are_those_of_the_dev_stack() -> None:
    assert [(machine.name, str(machine.address)) for machine in config.machines()] == [
        ("cp1", "10.77.0.11"),
        ("cp2", "10.77.0.12"),
        ("cp3", "10.77.0.13"),
        ("worker1", "10.77.0.21"),
        ("worker2", "10.77.0.22"),
    ]
    assert config.machine("cp1").container == "argus-lab-cp1"


def test_nothing_of_the_lab_shares_an_address() -> None:
    addresses = [machine.address for machine in config.machines()]
    addresses += [config.GATEWAY, config.CAMERAS_ADDRESS, IPv4Address(config.kubernetes_endpoint())]
    assert len(set(addresses)) == len(addresses)
    assert all(address in config.SUBNET for address in addresses)


@pytest.mark.usefixtures("own_stack")
def test_every_machine_is_of_the_default_suite_but_those_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARGUS_SUITES", raising=False)
    assert {machine.suite for machine in config.machines()} == {"bookworm"}
    config.machines.cache_clear()
    monkeypatch.setenv("ARGUS_SUITES", "worker2=trixie, cp1=trixie")
    others = {machine.name: machine.suite for machine in config.machines() if machine.suite != "bookworm"}
    assert others == {"worker2": "trixie", "cp1": "trixie"}


@pytest.mark.usefixtures("own_stack")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("worker9=trixie", "has no machine worker9"),
        ("worker2=sid", "'worker2=sid' is not MACHINE=SUITE with a suite of bookworm, trixie"),
        ("worker2", "'worker2' is not MACHINE=SUITE"),
    ],
)
def test_a_suite_that_is_not_understood_is_refused(monkeypatch: pytest.MonkeyPatch, given: str, says: str) -> None:
    monkeypatch.setenv("ARGUS_SUITES", given)
    with pytest.raises(LabError, match=f"ARGUS_SUITES: .*{says}"):
        config.machines()


@pytest.mark.usefixtures("own_stack")
def test_an_unknown_machine_is_answered_with_those_there_are() -> None:
    with pytest.raises(LabError, match=r"no machine 'cp9' in the lab; there are cp1, cp2, cp3, worker1, worker2"):
        config.machine("cp9")


def test_a_machine_off_the_labs_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = tmp_path / "Pulumi.dev.yaml"
    stack.write_text("config:\n  argus:machines:\n    controlPlanes:\n      - { name: far, address: 192.0.2.7 }\n")
    monkeypatch.setattr(config, "STACK_FILE", stack)
    with pytest.raises(LabError, match=r"not on the lab's network 10\.77\.0\.0/24: far \(192\.0\.2\.7\)"):
        config.machines()
