"""The component tree: names, types, parents, secrets, order; and what the preflight refuses."""

import json
import os
import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pulumi
import pytest

import components
from components import remote
from components.cluster import Cluster
from components.cluster.node_metadata import line
from components.cluster.preflight import PreflightError
from components.remote import Ssh
from tests.unit.components.answers import printed, unpacked
from tests.unit.components.cluster.conftest import cluster_args, machine, machines, worker
from tests.unit.components.conftest import ssh_options
from tests.unit.components.host_keys import host_key

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"
COMMAND = "command:remote:Command"
LOCAL_COMMAND = "command:local:Command"
CONTROL_PLANES = [machine(f"cp{index}", f"192.0.2.1{index}") for index in (1, 2, 3)]
WORKERS = [
    worker("worker1", "192.0.2.21", labels={"zone": "a"}, taints=["gpu=yes:NoSchedule"]),
    worker("worker2", "192.0.2.22"),
]
ARGS = cluster_args(
    machines=machines(CONTROL_PLANES, WORKERS),
    ssh=Ssh(options=ssh_options(privateKey=KEY, user="admin")),
    volumes_gib={"kafka": 8, "zookeeper": 1},
)
ADDRESSES = {each.name: each.host for each in ARGS.all_machines}


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
        "containerd": "1.6.20~ds1",
        "disk_mib": 99_000,
        "disks": ["/var/lib 1 99000 90000", "/var/lib/argus/volumes 1 99000 90000"],
        "volumes": [],
        "swap": [],
        "ports_in_use": [],
        "firewalls": [],
        "addresses": [ADDRESSES[name]],
        "macs": [f"02:00:00:00:00:{number}"],
        "virtual_ip_holder": "",
        "encrypts": True,
        "cluster": "",
    }
    return printed(json.dumps(fit | changes))


def answers(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    if name.startswith("lab-preflight-"):
        return {"stdout": facts(name.removeprefix("lab-preflight-"))}
    return {"stdout": f"the output of {name}"}


def answers_here(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    if name.startswith("lab-preflight-host-key-"):
        machine = name.split("-")[4]
        return {"stdout": f"{host_key(machine)}\n{host_key(machine, 'ssh-ed25519')}"}
    return {"stdout": f"# asked\nthe output of {name}"}


def answering(recorder: Any) -> Any:
    recorder.outputs[COMMAND] = answers
    recorder.outputs[LOCAL_COMMAND] = answers_here
    return recorder


@pytest.fixture(scope="module")
def declared() -> list[Any]:
    """Holds the recorder of the cluster once it is declared."""
    return []


@pytest.fixture
def cluster(pulumi_mocks: Any, declared: list[Any]) -> Any:
    """All that a cluster of ARGS registers. It is declared once, because these tests only look at it."""
    if not declared:
        answering(pulumi_mocks).run(lambda: Cluster("lab", ARGS).kubeconfig)
        declared.append(pulumi_mocks)
    return declared[0]


STEPS = ("packages", "runtime", "removal", "drain", "upgrade")
"""The steps of every machine, whatever its role."""


def test_every_step_is_a_component_of_the_cluster(cluster: Any) -> None:
    per_machine = {f"lab-{name}-{step}" for name in ADDRESSES for step in STEPS}
    endpoints = {f"lab-{machine.name}-endpoint" for machine in CONTROL_PLANES}
    timers = ("admission", "certificates", "kubelets", "backup")
    endpoints |= {f"lab-{machine.name}-{step}" for machine in CONTROL_PLANES for step in timers}
    nodes = {f"lab-{name}" for name in ADDRESSES}
    steps = ("preflight", "network", "firewall", "secrets-key", "metadata", "dns", "kubeconfig", "metrics", "storage")
    shared = {f"lab-{step}" for step in steps}
    children = {each.name for each in cluster.children("lab")}
    assert children == per_machine | endpoints | nodes | shared | {"lab-provider"}
    for each in cluster.resources:
        if each.parent is None:
            assert each.name == "lab"
        elif not each.custom:
            assert each.type.startswith("argus:cluster:")
        assert each.name.startswith(each.parent or "lab")


def test_control_planes_are_alike(cluster: Any) -> None:
    types = {machine.name: cluster.named(f"lab-{machine.name}").type for machine in ARGS.all_machines}
    assert {types[machine.name] for machine in CONTROL_PLANES} == {"argus:cluster:ControlPlane"}
    assert {types[machine.name] for machine in WORKERS} == {"argus:cluster:Worker"}
    scripts = {
        unpacked(cluster.named(f"lab-{machine.name}-joined").inputs["create"])
        .replace(machine.name, "NAME")
        .replace(machine.host, "ADDRESS")
        .replace("BOOTSTRAP=true", "BOOTSTRAP=false")
        for machine in CONTROL_PLANES
    }
    assert len(scripts) == 1


def test_secrets_stay_secret(cluster: Any) -> None:
    for each in cluster.of_type(COMMAND):
        assert "connection" in each.secret_outputs, each.name
        assert each.inputs["connection"]["privateKey"] == KEY
        if each.name.endswith("-joined"):
            assert "stdin" in each.secret_inputs, each.name
    for each in cluster.of_type(LOCAL_COMMAND):
        assert ("environment" in each.secret_inputs | each.secret_outputs) is ("environment" in each.inputs), each.name
    for each in cluster.of_type(COMMAND) + cluster.of_type(LOCAL_COMMAND):
        text = "".join(str(each.inputs.get(key)) for key in ("create", "update", "delete"))
        assert KEY not in text + unpacked(text), each.name
        if each.name.endswith(("-invitation", "-joined", "-read")):
            assert {"stdout", "stderr"} <= each.secret_outputs, each.name
            assert each.inputs["logging"] == "none", each.name
    assert "kubeconfig" in cluster.named("lab-provider").secret_inputs


def test_the_kubeconfig_is_a_secret(pulumi_mocks: Any) -> None:
    answering(pulumi_mocks)
    assert pulumi_mocks.run(lambda: pulumi.Output.from_input(Cluster("lab", ARGS).kubeconfig.is_secret())) is True


def test_what_is_asked_of_the_cluster_is_no_secret_but_for_the_key_that_asks(cluster: Any) -> None:
    assert cluster.named("lab-network-worker1").inputs["stdin"] == "the output of lab-network-node-networks"
    assert "stdin" not in cluster.named("lab-network-worker1").secret_inputs


def test_every_machine_guards_pods_and_services(cluster: Any) -> None:
    for each in ARGS.all_machines:
        text = unpacked(cluster.named(f"lab-network-{each.name}").inputs["create"])
        given = {"POD_NETWORK=10.244.0.0/16", "SERVICE_NETWORK=10.96.0.0/16", "PAGE_PORT=30080"}
        assert given <= set(text.splitlines()), each.name


def test_no_command_is_replaced_by_a_changed_script(cluster: Any) -> None:
    assert all("triggers" not in each.inputs for each in cluster.of_type(COMMAND))


def steps(recorder: Any) -> dict[str, dict[str, Any]]:
    """The inputs of every command of the cluster, from the present files."""
    remote._body.cache_clear()
    answering(recorder).run(lambda: Cluster("lab", ARGS).kubeconfig)
    commands = recorder.of_type(COMMAND) + recorder.of_type(LOCAL_COMMAND)
    return {each.name: {key: each.inputs.get(key) for key in ("create", "update", "delete")} for each in commands}


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the components' scripts, which the cluster reads instead."""
    source = Path(components.__file__).parent
    for path in (*source.glob("*.sh"), *source.glob("cluster/**/*.sh"), source / "cluster" / "audit-policy.yaml"):
        copy = tmp_path / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    monkeypatch.setattr(remote, "_HERE", tmp_path)
    monkeypatch.setattr("components.cluster.machine._HERE", tmp_path / "cluster")
    return tmp_path


def test_no_step_runs_again_for_a_comment_or_a_function_that_it_does_not_use(pulumi_mocks: Any, scripts: Path) -> None:
    before = steps(type(pulumi_mocks)())
    for path in (*scripts.rglob("*.sh"), *scripts.rglob("*.yaml")):
        head, _, text = path.read_text().partition("\n")
        changed = re.sub(r"^(?=\w+\(\) )", '# Isn\'t "new".\n', text, flags=re.MULTILINE)
        unused = "" if path.suffix == ".yaml" else "\n\nnew_one() {\n  say 'new'\n}\n"
        path.write_text(f"{head}\n# New: ${{ $( <<NEW\n{changed}{unused}")
    assert steps(type(pulumi_mocks)()) == before


def test_the_steps_that_use_a_function_run_again_when_it_changes(pulumi_mocks: Any, scripts: Path) -> None:
    before = steps(type(pulumi_mocks)())
    etcd = scripts / "cluster" / "functions" / "etcd.sh"
    assert "etcd member remove" in etcd.read_text()
    etcd.write_text(etcd.read_text().replace("etcd member remove", "etcd member  remove"))
    changed = {name for name, step in steps(type(pulumi_mocks)()).items() if step != before[name]}
    assert changed == {f"lab-{name}-{step}" for name in ADDRESSES for step in ("invitation", "removal-undo")}


def test_a_dead_machine_blocks_no_delete(cluster: Any) -> None:
    """Commands with a `delete` run on Pulumi's own computer and ask a living control plane."""
    assert not [each.name for each in cluster.of_type(COMMAND) if "delete" in each.inputs]
    deleting = {each.name: each.inputs["delete"] for each in cluster.of_type(LOCAL_COMMAND) if "delete" in each.inputs}
    drains = {f"lab-{name}-drain-on-removal" for name in ADDRESSES}
    assert set(deleting) == drains | {f"lab-{name}-removal-undo" for name in ADDRESSES}
    assert all("\nHOST=192.0.2.10\n" in deleting[name] for name in drains)


def test_every_machine_must_show_its_own_key(cluster: Any) -> None:
    assert cluster.of_type(COMMAND)
    owner = {address: name for name, address in ADDRESSES.items()}
    for each in cluster.of_type(COMMAND):
        connection = each.inputs["connection"]
        assert connection["hostKey"] == host_key(owner[connection["host"]]), each.name


def test_whoever_has_the_endpoint_must_show_the_key_of_a_control_plane(cluster: Any) -> None:
    holders = [f"192.0.2.10 {host_key(machine.name)}" for machine in CONTROL_PLANES]
    holders += [f"{machine.address} {host_key(machine.name)} may-have-192.0.2.10" for machine in CONTROL_PLANES]
    known = {
        each.name: each.inputs["environment"]["ARGUS_KNOWN_HOSTS"].splitlines()
        for each in cluster.of_type(LOCAL_COMMAND)
        if "environment" in each.inputs
    }
    for name in ("lab-metadata-set", "lab-dns-spread", "lab-kubeconfig-read", "lab-network-node-networks"):
        assert known[name] == holders, name
    for each in ARGS.all_machines:
        own = f"{each.address} {host_key(each.name)}"
        own += " may-have-192.0.2.10" if each in CONTROL_PLANES else ""
        assert known[f"lab-{each.name}-drain-on-removal"] == holders
        with_itself = [own, *(line for line in holders if line != own)]
        assert known[f"lab-{each.name}-removal-undo"] == with_itself
        assert known[f"lab-{each.name}-invitation"] == with_itself


def test_a_key_in_the_configuration_is_not_read(pulumi_mocks: Any) -> None:
    pinned = worker("worker1", "192.0.2.21", hostKey=host_key("another", "ssh-ed25519"))
    args = replace(ARGS, machines=machines(CONTROL_PLANES, [pinned, WORKERS[1]]))
    answering(pulumi_mocks).run(lambda: Cluster("lab", args).kubeconfig)
    read = {each.name for each in pulumi_mocks.resources if "-host-key-" in each.name}
    assert read == {f"lab-preflight-host-key-{n}-{at}" for n, at in ADDRESSES.items() if n != "worker1"}
    assert pulumi_mocks.named("lab-preflight-worker1").inputs["connection"]["hostKey"] == pinned.host_key
    assert pulumi_mocks.named("lab-worker1-joined").inputs["connection"]["hostKey"] == pinned.host_key


def test_control_planes_are_all_known_by_keys_of_one_kind(pulumi_mocks: Any) -> None:
    pinned = machine("cp2", "192.0.2.12", hostKey=host_key("cp2", "ssh-ed25519"))
    args = replace(ARGS, machines=machines([CONTROL_PLANES[0], pinned, CONTROL_PLANES[2]], WORKERS))
    answering(pulumi_mocks).run(lambda: Cluster("lab", args).kubeconfig)
    known = pulumi_mocks.named("lab-dns-spread").inputs["environment"]["ARGUS_KNOWN_HOSTS"].splitlines()
    assert known[: len(CONTROL_PLANES)] == [
        f"192.0.2.10 {host_key(each.name, 'ssh-ed25519')}" for each in CONTROL_PLANES
    ]


def test_a_key_that_was_read_is_not_read_again(cluster: Any) -> None:
    """Not even if the script that reads it changes: that is an update, which prints the known key."""
    for name, address in ADDRESSES.items():
        read = cluster.named(f"lab-preflight-host-key-{name}-{address}").inputs
        known = subprocess.run(
            ["/bin/sh", "-c", read["update"]],
            env={**os.environ, "PULUMI_COMMAND_STDOUT": "what\nis known"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert known.stdout == "what\nis known\n"
        assert "triggers" not in read
        assert not {"environment", "stdin"} & read.keys()


def test_every_step_on_a_machine_is_undone_by_its_removal(cluster: Any) -> None:
    undo = {name: cluster.named(f"lab-{name}-removal-undo") for name in ADDRESSES}
    for name, each in undo.items():
        assert f"HOST={ADDRESSES[name]}" in each.inputs["delete"]
        assert ("keepalived" in unpacked(each.inputs["delete"])) is name.startswith("cp")
        assert KEY not in each.inputs["delete"] + unpacked(each.inputs["delete"])
        assert "environment" in each.secret_inputs | each.secret_outputs
        assert each.inputs["triggers"] == [ADDRESSES[name]]
        assert f"lab-{name}-removal-undo" in cluster.named(f"lab-{name}-packages").depends_on
        assert f"lab-preflight-{name}" in cluster.named(f"lab-{name}-removal").depends_on


def test_machines_leave_in_an_order_that_keeps_the_cluster(cluster: Any) -> None:
    """Dependents are deleted first: pods, then drains, volumes and nodes, then workers' machines."""

    def after(name: str) -> set[str]:
        return set(cluster.named(name).depends_on)

    assert {"lab-worker1-joined", "lab-cp3-drain-on-removal"} <= after("lab-worker1-drain")
    assert {"lab-storage-worker1-kafka", "lab-storage-worker1-zookeeper"} <= after("lab-worker1-drain")
    assert "lab-cp1-removal-undo" in after("lab-cp2-removal")
    assert "lab-cp2-removal-undo" in after("lab-cp3-removal")
    assert "lab-cp3-removal-undo" in after("lab-worker1-removal") & after("lab-worker2-removal")


def test_another_user_gets_root_by_sudo(cluster: Any) -> None:
    for each in cluster.of_type(COMMAND):
        for key in ("create", "update"):
            assert each.inputs.get(key, "sudo -n bash -c ").startswith("sudo -n bash -c "), each.name
    for each in cluster.of_type(LOCAL_COMMAND):
        for key in ("create", "update", "delete"):
            assert "COMMAND=" not in each.inputs.get(key, "") or "COMMAND='\"'\"'sudo -n bash -c " in each.inputs[key]


def test_a_machine_is_invited_while_it_is_prepared(cluster: Any) -> None:
    for name in ADDRESSES:
        earlier = cluster.named(f"lab-{name}").depends_on | cluster.named(f"lab-{name}-invitation").depends_on
        runtime = f"lab-{name}-runtime-configured"
        assert runtime in cluster.named(f"lab-{name}-joined").depends_on - earlier


def test_order(cluster: Any) -> None:
    def after(name: str) -> set[str]:
        return set(cluster.named(name).depends_on)

    # It waits for all verdicts (see below) but depends only on its own, or dependencies would grow quadratically.
    assert after("lab-cp1-removal") == {"lab-preflight-cp1"}
    assert after("lab-cp2-packages") == {"lab-cp2-removal-undo"}
    for name in ("cp2", "cp3", *(each.name for each in WORKERS)):
        assert "lab-cp1-joined" in after(f"lab-{name}")
        assert not {"lab-cp2-joined", "lab-cp3-joined"} & after(f"lab-{name}")
    assert {f"lab-{name}-joined" for name in ADDRESSES} <= after("lab-network")
    assert {f"lab-network-{name}" for name in ADDRESSES} <= after("lab-cp1-upgrade")
    # Control planes let new machines in before any joins: all wait for cp1, and cp1 for all endpoints.
    for name in (each.name for each in CONTROL_PLANES):
        assert after(f"lab-{name}-admission") == {f"lab-{name}-packages-installed"}
        # It asks at the virtual IP, which any of them may have.
        assert after(f"lab-{name}-endpoint") == {f"lab-{each}-admission-admitted" for each in ("cp1", "cp2", "cp3")}
        assert f"lab-{name}-endpoint-configured" in after("lab-cp1")
    assert {f"lab-network-{name}" for name in ADDRESSES} <= after("lab-firewall")
    one_by_one = [f"lab-{name}-upgrade" for name in ADDRESSES]
    for upgrade, following in pairwise(one_by_one):
        assert after(following) == {f"{upgrade}-node"}
    assert after("lab-kubeconfig") == {f"{one_by_one[-1]}-node"}


def test_commands_of_the_cluster_ask_a_living_control_plane(cluster: Any) -> None:
    for name in (
        "lab-metadata-set",
        "lab-kubeconfig-read",
        "lab-dns-spread",
        "lab-network-node-networks",
        "lab-firewall-nodes",
    ):
        assert "\nHOST=192.0.2.10\n" in cluster.named(name).inputs["create"]
    for name in ADDRESSES:
        assert "\nENDPOINT=192.0.2.10\n" in cluster.named(f"lab-{name}-invitation").inputs["create"]
    assert cluster.named("lab-cp2-joined").inputs["connection"]["host"] == "192.0.2.12"


def test_volumes_are_on_the_machines_that_run_pods(cluster: Any) -> None:
    volumes = cluster.of_type("kubernetes:core/v1:PersistentVolume")
    assert {each.inputs["metadata"]["name"] for each in volumes} == {
        f"{machine.name}-{service}" for machine in WORKERS for service in ("kafka", "zookeeper")
    }
    for each in volumes:
        assert each.inputs["metadata"]["labels"]["argus.dev/volume"] in ("kafka", "zookeeper")
        assert each.inputs["spec"]["storageClassName"] == "argus-local"


def test_labels_and_taints(cluster: Any) -> None:
    script = unpacked(cluster.named("lab-metadata-set").inputs["create"])
    assert re.search(r"worker1 \w+ label zone=a taint gpu=yes:NoSchedule", script)


def test_another_machine_of_the_same_name_is_given_its_labels_again() -> None:
    labels = {"zone": "a"}
    first, again = (worker("worker1", "192.0.2.21", labels=labels) for _ in range(2))
    moved = worker("worker1", "192.0.2.99", labels=labels)
    another = worker("worker1", "192.0.2.21", labels=labels, hostKey=host_key("worker1"))
    assert len({line(each) for each in (first, moved, another)}) == 3
    assert line(first) == line(again)


def test_all_problems_stop_it_before_any_machine_is_changed(pulumi_mocks: Any) -> None:
    def unfit(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        machine = name.removeprefix("lab-preflight-")
        if machine == "cp2":
            return {"stdout": facts("cp2", memory_mib=512)}
        if machine == "worker1":
            return {"stdout": facts("worker1", swap=["/swapfile file"])}
        return answers(name, inputs)

    answering(pulumi_mocks).outputs[COMMAND] = unfit
    with pytest.raises(PreflightError) as error:
        pulumi_mocks.run(lambda: Cluster("lab", ARGS).kubeconfig)
    assert "cp2 (192.0.2.12): 512 MiB of memory" in str(error.value)
    assert "worker1 (192.0.2.21): swaps to /swapfile" in str(error.value)
    commands = {each.name for each in pulumi_mocks.of_type(COMMAND)}
    assert commands == {f"lab-preflight-{name}" for name in ADDRESSES}
    assert all("-host-key-" in each.name for each in pulumi_mocks.of_type(LOCAL_COMMAND))


def test_a_preview_needs_no_machine(pulumi_mocks: Any) -> None:
    pulumi_mocks.run(lambda: Cluster("lab", ARGS).endpoint, preview=True)
    assert pulumi_mocks.named("lab-cp1-joined")


def test_another_word_runs_every_step_again(cluster: Any) -> None:
    assert ARGS.ssh.options.rerun == ""
    recorders = [cluster]
    for word in ("yesterday", "today"):
        recorders.append(type(cluster)())
        args = replace(ARGS, ssh=Ssh(options=ssh_options(privateKey=KEY, user="admin", rerun=word)))
        answering(recorders[-1]).run(lambda args=args: Cluster("lab", args).kubeconfig)
    scripts = []
    for recorder in recorders:
        commands = recorder.of_type(COMMAND) + recorder.of_type(LOCAL_COMMAND)
        scripts.append({each.name: each.inputs["create"] for each in commands if "create" in each.inputs})
    for name, script in scripts[0].items():
        if "-host-key-" in name:
            continue
        assert len({script, scripts[1][name], scripts[2][name]}) == 3, name
