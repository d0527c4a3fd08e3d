"""The kubeadm configuration against golden files; UPDATE_GOLDEN=1 pytest rewrites them after an intended change."""

import os
from pathlib import Path

import pytest
import yaml

from components.cluster.kubeadm import (
    NODE_LEASE_SECONDS,
    NODE_MONITOR_GRACE_SECONDS,
    init_config,
    join_config,
)
from tests.unit.components.cluster.conftest import cluster_section, machine, worker

GOLDEN = Path(__file__).parent / "golden"
HOSTS = cluster_section()
CONTAINERS = cluster_section(
    name="lab",
    imageRepository="192.0.2.1:5000",
    kubelet={"cgroupDriver": "cgroupfs", "failCgroupV1": False, "featureGates": {"KubeletInUserNamespace": True}},
    kubeProxy={"conntrackMaxPerCore": 0},
    schedulePodsOnControlPlanes=True,
    goMaxProcs=1,
)
CP1 = machine("cp1", "192.0.2.11")
WORKER1 = worker("worker1", "192.0.2.21")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("init-hosts.yaml", init_config(HOSTS, CP1)),
        ("init-containers.yaml", init_config(CONTAINERS, CP1)),
        ("join-control-plane.yaml", join_config(HOSTS, CP1)),
        ("join-control-plane-containers.yaml", join_config(CONTAINERS, CP1)),
        ("join-worker.yaml", join_config(HOSTS, WORKER1)),
    ],
)
def test_golden(file: str, text: str) -> None:
    golden = GOLDEN / file
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_control_planes_differ_in_their_name_and_address_only() -> None:
    other = machine("cp2", "192.0.2.12")
    as_first = init_config(HOSTS, CP1)
    assert as_first.replace("cp1", "cp2").replace("192.0.2.11", "192.0.2.12") == init_config(HOSTS, other)


def test_no_secret_is_in_a_configuration() -> None:
    for each, control_plane in ((CP1, True), (WORKER1, False)):
        (config,) = yaml.safe_load_all(join_config(HOSTS, each))
        assert config["discovery"]["bootstrapToken"]["token"] == "@TOKEN@"
        assert ("controlPlane" in config) is control_plane


def test_only_schedulable_control_planes_lose_their_taint() -> None:
    assert "taints" not in yaml.safe_load(join_config(HOSTS, CP1))["nodeRegistration"]
    assert yaml.safe_load(join_config(CONTAINERS, CP1))["nodeRegistration"]["taints"] == []
    assert "taints" not in yaml.safe_load(join_config(CONTAINERS, WORKER1))["nodeRegistration"]


def test_a_living_node_has_several_chances_to_say_so() -> None:
    renewal = NODE_LEASE_SECONDS / 4
    assert 3 * renewal <= NODE_MONITOR_GRACE_SECONDS


@pytest.mark.parametrize(
    "name", ["433e40", "1e3", "0o17", "0x1f", "0b1", "017", "17", "y", "n", "yes", "no", "on", "off", "null"]
)
def test_a_name_that_a_parser_reads_as_something_else_is_quoted(name: str) -> None:
    odd = machine(name, "192.0.2.11")
    cluster = cluster_section(name=name)
    for text in (init_config(cluster, odd), join_config(cluster, odd)):
        assert f"\n  name: '{name}'\n" in text
    assert f"\nclusterName: '{name}'\n" in init_config(cluster, odd)


def test_a_machine_with_several_addresses_registers_the_one_of_the_stack() -> None:
    """Without these, the kubelet and the API server take the address of the default route."""
    init = {each["kind"]: each for each in yaml.safe_load_all(init_config(HOSTS, CP1))}["InitConfiguration"]
    join = yaml.safe_load(join_config(HOSTS, CP1))
    for registered in (init["nodeRegistration"], join["nodeRegistration"]):
        assert {"name": "node-ip", "value": CP1.host} in registered["kubeletExtraArgs"]
    assert init["localAPIEndpoint"]["advertiseAddress"] == CP1.host
    assert join["controlPlane"]["localAPIEndpoint"]["advertiseAddress"] == CP1.host


def test_each_machine_finds_its_own_name_servers() -> None:
    """kubeadm gives a machine with systemd-resolved the file of that, unless the cluster's configuration names one.

    One for all would keep every pod from starting where some machines have systemd-resolved and others have not.
    """
    documents = {each["kind"]: each for each in yaml.safe_load_all(init_config(HOSTS, CP1))}
    assert "resolvConf" not in documents["KubeletConfiguration"]
    flags = [each["name"] for each in documents["InitConfiguration"]["nodeRegistration"]["kubeletExtraArgs"]]
    assert "resolv-conf" not in flags
