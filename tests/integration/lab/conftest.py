"""A machine of the lab on a network of its own, beside a lab that may run on this host. Needs root and podman."""

import os
import shutil
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab import config, network
from lab.config import SUITE, SUITES, Machine
from lab.machines import fleet, ssh

NETWORK = "argus-trial"
LABEL = "dev.argus.trial=machine"
GATEWAY = IPv4Address("10.78.0.1")
ADDRESS = IPv4Address("10.78.0.11")

needs_machines = [
    pytest.mark.skipif(os.geteuid() != 0, reason="machines need root"),
    pytest.mark.skipif(shutil.which("podman") is None, reason="machines need podman"),
]


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=[] if each == SUITE else pytest.mark.full) for each in SUITES],
    ids=SUITES,
)
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of each suite, which is not made yet."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        for module in (config, fleet, network):
            patch.setattr(module, "NETWORK", NETWORK)
        patch.setattr(fleet, "LABEL", LABEL)
        patch.setattr(network, "SUBNET", IPv4Network("10.78.0.0/24"))
        patch.setattr(network, "GATEWAY", GATEWAY)
        patch.setattr(ssh, "SSH_KEY", state / "id_ed25519")
        try:
            yield Machine(name="trial", address=ADDRESS, suite=request.param)
        finally:
            fleet.remove_all()
            network.remove()


@pytest.fixture
def machine(trial: Machine) -> Machine:
    """The machine, which answers over SSH."""
    network.ensure()
    fleet.ensure([trial])
    return trial


def on(machine: Machine, script: str, *, limit_s: int = 10) -> str:
    """Run a command on the machine and return what it printed. Fails with what it said."""
    succeeded, said = ssh.answer(machine, script, timeout=limit_s)
    assert succeeded, said
    return said
