"""The component tree: names, types, parents, secrets, order; and what a preflight refuses."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pulumi
import pytest

from components.cluster import Cluster, ClusterArgs
from components.cluster.kubeadm import KubeadmArgs
from components.cluster.machine import Machine
from components.cluster.preflight import PreflightError
from components.remote import Ssh

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"
COMMAND = "command:remote:Command"
LOCAL_COMMAND = "command:local:Command"
CONTROL_PLANES = [Machine(name=f"cp{index}", address=f"192.0.2.1{index}") for index in (1, 2, 3)]
WORKERS = [
    Machine(name="worker1", address="192.0.2.21", labels={"zone": "a"}, taints=("gpu=yes:NoSchedule",)),
    Machine(name="worker2", address="192.0.2.22"),
]
ARGS = ClusterArgs(
    control_planes=CONTROL_PLANES,
    workers=WORKERS,
    ssh=Ssh(private_key=KEY, user="admin"),
    kubeadm=KubeadmArgs(
        name="prod",
        endpoint="192.0.2.10",
        endpoint_port=8443,
        kubernetes_version="1.36.1",
        pod_network="10.244.0.0/16",
        service_network="10.96.0.0/16",
        image_repository="registry.k8s.io",
    ),
    binaries="https://dl.k8s.io",
    volumes_gib={"kafka": 8, "zookeeper": 1},
)
ADDRESSES = {machine.name: machine.address for machine in ARGS.machines}


def facts(name: str, **changes: Any) -> str:
    number = ADDRESSES[name].rpartition(".")[2]
    fit = {
        "skew_seconds": 0,
        "os": "debian",
        "os_version": "12",
        "systemd": True,
        "root": True,
        "hostname": name,
        "machine_id": name,
        "memory_mib": 8000,
        "disk_mib": 99_000,
        "swap": [],
        "ports_in_use": [],
        "addresses": [ADDRESSES[name]],
        "macs": [f"02:00:00:00:00:{number}"],
        "virtual_ip_holder": "",
        "cluster": "",
    }
    return json.dumps(fit | changes)


def answers(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    if name.startswith("lab-preflight-"):
        return {"stdout": facts(name.removeprefix("lab-preflight-"))}
    return {"stdout": f"the output of {name}"}


@pytest.fixture
def cluster(pulumi_mocks: Any) -> Any:
    pulumi_mocks.outputs[COMMAND] = answers
    pulumi_mocks.run(lambda: Cluster("lab", ARGS).kubeconfig)
    return pulumi_mocks


STEPS = ("packages", "runtime", "removal", "drain", "upgrade")
"""What there is of each machine, whatever it is in the cluster."""


def test_every_step_is_a_component_of_the_cluster(cluster: Any) -> None:
    per_machine = {f"lab-{name}-{step}" for name in ADDRESSES for step in STEPS}
    endpoints = {f"lab-{machine.name}-endpoint" for machine in CONTROL_PLANES}
    endpoints |= {f"lab-{machine.name}-{step}" for machine in CONTROL_PLANES for step in ("certificates", "backup")}
    nodes = {f"lab-{name}" for name in ADDRESSES}
    shared = {f"lab-{step}" for step in ("preflight", "network", "metadata", "dns", "kubeconfig", "metrics", "storage")}
    children = {each.name for each in cluster.children("lab")}
    assert children == per_machine | endpoints | nodes | shared | {"lab-provider"}
    for each in cluster.resources:
        if each.parent is None:
            assert each.name == "lab"
        elif not each.custom:
            assert each.type.startswith("argus:cluster:")
        assert each.name.startswith(each.parent or "lab")


def test_control_planes_are_alike(cluster: Any) -> None:
    types = {machine.name: cluster.named(f"lab-{machine.name}").type for machine in ARGS.machines}
    assert {types[machine.name] for machine in CONTROL_PLANES} == {"argus:cluster:ControlPlane"}
    assert {types[machine.name] for machine in WORKERS} == {"argus:cluster:Worker"}
    scripts = {
        cluster.named(f"lab-{machine.name}-joined")
        .inputs["create"]
        .replace(machine.name, "NAME")
        .replace(machine.address, "ADDRESS")
        .replace("BOOTSTRAP=true", "BOOTSTRAP=false")
        for machine in CONTROL_PLANES
    }
    assert len(scripts) == 1


def test_secrets_stay_secret(cluster: Any) -> None:
    for each in cluster.of_type(COMMAND):
        assert "connection" in each.secret_outputs, each.name
        assert each.inputs["connection"]["privateKey"] == KEY
        assert KEY not in each.inputs.get("create", "") + each.inputs.get("delete", "")
        if each.name.endswith(("-invitation", "-joined", "-read")):
            assert {"stdin", "stdout", "stderr"} <= each.secret_outputs, each.name
            assert each.inputs["logging"] == "none", each.name
        if each.name.endswith("-joined"):
            assert "stdin" in each.secret_inputs, each.name
    assert "kubeconfig" in cluster.named("lab-provider").secret_inputs


def test_the_kubeconfig_is_a_secret(pulumi_mocks: Any) -> None:
    pulumi_mocks.outputs[COMMAND] = answers
    assert pulumi_mocks.run(lambda: pulumi.Output.from_input(Cluster("lab", ARGS).kubeconfig.is_secret())) is True


def test_no_command_is_replaced_by_a_changed_script(cluster: Any) -> None:
    assert all("triggers" not in each.inputs for each in cluster.of_type(COMMAND))


def test_a_dead_machine_blocks_no_delete(cluster: Any) -> None:
    """What has a `delete` asks a living control plane, or runs where Pulumi does."""
    deleting = {
        each.name: each.inputs["connection"]["host"] for each in cluster.of_type(COMMAND) if "delete" in each.inputs
    }
    assert deleting == {f"lab-{name}-drain-on-removal": "192.0.2.10" for name in ADDRESSES}
    here = {each.name for each in cluster.of_type(LOCAL_COMMAND) if "delete" in each.inputs}
    assert here == {f"lab-{name}-removal-undo" for name in ADDRESSES}


def test_every_step_on_a_machine_is_undone_by_its_removal(cluster: Any) -> None:
    undo = {name: cluster.named(f"lab-{name}-removal-undo") for name in ADDRESSES}
    for name, each in undo.items():
        assert f"HOST={ADDRESSES[name]}" in each.inputs["delete"]
        assert ("keepalived" in each.inputs["delete"]) is name.startswith("cp")
        assert KEY not in each.inputs["delete"]
        assert "environment" in each.secret_inputs | each.secret_outputs
        assert each.inputs["triggers"] == [ADDRESSES[name]]
        assert f"lab-{name}-removal-undo" in cluster.named(f"lab-{name}-packages").depends_on
        assert f"lab-preflight-{name}" in cluster.named(f"lab-{name}-removal").depends_on


def test_machines_leave_in_an_order_that_keeps_the_cluster(cluster: Any) -> None:
    """What depends on something is deleted before it: pods, then drains, volumes and nodes, then workers' machines."""

    def after(name: str) -> set[str]:
        return set(cluster.named(name).depends_on)

    assert {"lab-worker1-joined", "lab-cp3-drain-on-removal"} <= after("lab-worker1-drain")
    assert {"lab-storage-worker1-kafka", "lab-storage-worker1-zookeeper"} <= after("lab-worker1-drain")
    assert "lab-cp1-removal-undo" in after("lab-cp2-removal")
    assert "lab-cp2-removal-undo" in after("lab-cp3-removal")
    assert "lab-cp3-removal-undo" in after("lab-worker1-removal") & after("lab-worker2-removal")


def test_another_user_gets_root_by_sudo(cluster: Any) -> None:
    for each in cluster.of_type(COMMAND):
        for key in ("create", "update", "delete"):
            assert each.inputs.get(key, "sudo -n bash -c ").startswith("sudo -n bash -c "), each.name


def test_order(cluster: Any) -> None:
    def after(name: str) -> set[str]:
        return set(cluster.named(name).depends_on)

    # It waits for the verdict on all (see below), but names no more than its own: else dependencies grow as a square.
    assert after("lab-cp1-removal") == {"lab-preflight-cp1"}
    assert after("lab-cp2-packages") == {"lab-cp2-removal-undo"}
    assert "lab-cp1-joined" in after("lab-cp2")
    assert "lab-cp2-joined" in after("lab-cp3")
    for worker in WORKERS:
        assert "lab-cp1-joined" in after(f"lab-{worker.name}")
        assert not {"lab-cp2-joined", "lab-cp3-joined"} & after(f"lab-{worker.name}")
    assert {f"lab-{name}-joined" for name in ADDRESSES} <= after("lab-network")
    assert {f"lab-network-{name}" for name in ADDRESSES} <= after("lab-cp1-upgrade")
    one_by_one = [f"lab-{name}-upgrade" for name in ADDRESSES]
    for upgrade, following in pairwise(one_by_one):
        assert after(following) == {f"{upgrade}-node"}
    assert after("lab-kubeconfig") == {f"{one_by_one[-1]}-node"}


def test_commands_of_the_cluster_ask_a_living_control_plane(cluster: Any) -> None:
    hosts = {each.name: each.inputs["connection"]["host"] for each in cluster.of_type(COMMAND)}
    for name in ("lab-cp1-invitation", "lab-worker1-invitation", "lab-metadata-set", "lab-kubeconfig-read"):
        assert hosts[name] == "192.0.2.10"
    assert hosts["lab-cp2-joined"] == "192.0.2.12"


def test_volumes_are_on_the_machines_that_run_pods(cluster: Any) -> None:
    volumes = cluster.of_type("kubernetes:core/v1:PersistentVolume")
    assert {each.inputs["metadata"]["name"] for each in volumes} == {
        f"{machine.name}-{service}" for machine in WORKERS for service in ("kafka", "zookeeper")
    }
    for each in volumes:
        assert each.inputs["metadata"]["labels"]["argus.dev/volume"] in ("kafka", "zookeeper")
        assert each.inputs["spec"]["storageClassName"] == "argus-local"


def test_labels_and_taints(cluster: Any) -> None:
    script = cluster.named("lab-metadata-set").inputs["create"]
    assert "worker1 label zone=a taint gpu=yes:NoSchedule" in script


def test_all_problems_stop_it_before_any_machine_is_changed(pulumi_mocks: Any) -> None:
    def unfit(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        machine = name.removeprefix("lab-preflight-")
        if machine == "cp2":
            return {"stdout": facts("cp2", memory_mib=512)}
        if machine == "worker1":
            return {"stdout": facts("worker1", swap=["/swapfile"])}
        return answers(name, inputs)

    pulumi_mocks.outputs[COMMAND] = unfit
    with pytest.raises(PreflightError) as error:
        pulumi_mocks.run(lambda: Cluster("lab", ARGS).kubeconfig)
    assert "cp2 (192.0.2.12): 512 MiB of memory" in str(error.value)
    assert "worker1 (192.0.2.21): swaps to /swapfile" in str(error.value)
    commands = {each.name for each in pulumi_mocks.of_type(COMMAND)}
    assert commands == {f"lab-preflight-{name}" for name in ADDRESSES}


def test_a_preview_needs_no_machine(pulumi_mocks: Any) -> None:
    pulumi_mocks.run(lambda: Cluster("lab", ARGS).endpoint, preview=True)
    assert pulumi_mocks.named("lab-cp1-joined")


def test_another_word_runs_every_step_again(pulumi_mocks: Any) -> None:
    scripts = []
    for mend in ("", "yesterday", "today"):
        recorder = type(pulumi_mocks)()
        recorder.outputs[COMMAND] = answers
        args = replace(ARGS, ssh=replace(ARGS.ssh, mend=mend))
        recorder.run(lambda args=args: Cluster("lab", args).kubeconfig)
        scripts.append(
            {each.name: each.inputs["create"] for each in recorder.of_type(COMMAND) if "create" in each.inputs}
        )
    for name, script in scripts[0].items():
        assert len({script, scripts[1][name], scripts[2][name]}) == 3, name
