"""An existing node keeps its name and role: others are refused with the remedy."""

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


MEMBERS = """\
8e9e05c52164694d, started, cp1, https://192.0.2.11:2380, https://192.0.2.11:2379, false
5a52499f7eda2718, started, , https://192.0.2.12:2380, , true
"""


@pytest.fixture
def half_joined(hosts: dict[str, Host]) -> Host:
    """A second control plane whose `pulumi up` was killed after it had become a member of etcd."""
    host = hosts["cp2"]
    host.path("/etc/kubernetes/manifests").mkdir()
    host.path("/etc/kubernetes/manifests/etcd.yaml").write_text(
        """\
    - --initial-advertise-peer-urls=https://192.0.2.12:2380
    - --initial-cluster=cp2=https://192.0.2.12:2380,cp1=https://192.0.2.11:2380
    - --initial-cluster-state=existing
    image: registry.k8s.io/etcd:3.6.8-0
"""
    )
    return host


def test_an_interrupted_control_plane_leaves_etcd_before_it_is_cleared(half_joined: Host) -> None:
    half_joined.program("ctr", f"case $* in *member' 'list) cat <<'LIST'\n{MEMBERS}LIST\n;; esac")
    half_joined.join("TOKEN=abc")
    ran = [line for line in half_joined.noted.splitlines() if line.startswith(("ctr ", "kubeadm "))]
    (listed, removed, *after) = ran
    assert listed.endswith("member list")
    assert removed.endswith("member remove 5a52499f7eda2718")
    assert "registry.k8s.io/etcd:3.6.8-0" in removed
    assert "--endpoints=https://192.0.2.11:2379 " in removed, "the others are asked, not itself"
    assert [line.split()[1] for line in after] == ["reset", "join"]


def test_one_that_has_left_etcd_is_cleared(half_joined: Host) -> None:
    half_joined.program("ctr", f"case $* in *member' 'list) head -n 1 <<'LIST'\n{MEMBERS}LIST\n;; esac")
    half_joined.join("TOKEN=abc")
    assert len(half_joined.ran("ctr")) == 1
    assert [call.split()[0] for call in half_joined.ran("kubeadm")] == ["reset", "join"]


def test_nothing_is_cleared_of_one_that_etcd_does_not_let_go(half_joined: Host) -> None:
    half_joined.program("ctr", "echo 'etcdserver: unhealthy cluster' >&2; exit 1")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        half_joined.join("TOKEN=abc")
    assert "etcd does not let it go: etcdserver: unhealthy cluster" in refused.value.stderr
    assert not half_joined.ran("kubeadm")


def test_where_no_cluster_is_there_is_nobody_to_leave(half_joined: Host) -> None:
    half_joined.path("/etc/kubernetes/manifests/etcd.yaml").write_text("--initial-cluster=cp2=https://192.0.2.12:2380")
    half_joined.program("ctr", "exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        half_joined.join()
    assert not half_joined.ran("ctr")
    assert half_joined.ran("kubeadm")[0].startswith("reset")


@pytest.mark.parametrize("invitation", ["", "CLUSTER=", "Welcome to cp1"])
def test_no_cluster_starts_and_nothing_is_cleared_where_the_invitation_did_not_arrive(
    hosts: dict[str, Host], half_joined: Host, invitation: str
) -> None:
    for host in (hosts["cp1"], half_joined):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            host.join(invitation)
        assert f"the invitation of {host.name} did not arrive" in refused.value.stderr
        assert not host.path("noted").exists() or not host.ran("kubeadm")


def test_where_there_is_no_cluster_an_invitation_says_so(hosts: dict[str, Host]) -> None:
    assert hosts["cp1"].invite("cp2") == "CLUSTER=none\n"
