"""A machine that is a node already stays what it is: another name or role is refused, with the remedy."""

import subprocess
from dataclasses import replace

import pytest

from tests.unit.components.cluster.conftest import Host


def test_a_member_is_left_alone(hosts: dict[str, Host]) -> None:
    cp1 = hosts["cp1"]
    cp1.join()
    cp1.path("noted").unlink()
    cp1.join()
    assert "kubeadm" not in cp1.noted
    assert "systemctl start kubelet.service" in cp1.noted


def test_a_node_cannot_take_another_name(hosts: dict[str, Host]) -> None:
    hosts["cp1"].join()
    with pytest.raises(subprocess.CalledProcessError) as error:
        replace(hosts["cp1"], name="cp9").join()
    assert "this machine is the node cp1: take cp1 out first" in error.value.stderr


@pytest.mark.parametrize(("name", "control_plane"), [("cp1", True), ("worker1", False)])
def test_a_node_cannot_take_another_role(hosts: dict[str, Host], name: str, control_plane: bool) -> None:
    host = hosts[name]
    hosts["cp1"].join()
    if not control_plane:
        host.join(hosts["cp1"].invite(name, control_plane=False), control_plane=False)
    with pytest.raises(subprocess.CalledProcessError) as error:
        host.join(control_plane=not control_plane)
    assert f"{name} cannot change between control plane and worker" in error.value.stderr
