"""The handwritten configuration equals Argus's, and the table compares like with like."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.cluster import ClusterArgs
from components.cluster.kubeadm import init_config, join_config
from components.config import load_values
from components.remote import Ssh
from lab.config import LabError
from tests.bench import stacks
from tests.bench.by_hand import SCRIPT, files
from tests.bench.provision import BY_HAND, BY_HAND_FROM_BARE, STEPS, UP, ready_at, report
from tests.unit.stacks import LAB, configuration
from tests.unknown_key import UNKNOWN_KEY

TOKEN, KEY = "abcdef.0123456789abcdef", "0" * 64


@pytest.fixture
def args(tmp_path: Path) -> ClusterArgs:
    key = tmp_path / "key"
    key.write_text(UNKNOWN_KEY)
    config = stacks.with_key(configuration(LAB), key)
    settings = load_values({name.removeprefix("argus:"): each for name, each in config.items()})
    return ClusterArgs(
        machines=settings.machines,
        ssh=Ssh(options=settings.ssh),
        cluster=settings.cluster,
        backup=settings.backup,
        page_port=settings.ui.node_port,
    )


def kubeadm(args: ClusterArgs, index: int) -> list[dict[str, Any]]:
    written = files(args, args.all_machines[index], token=TOKEN, certificate_key=KEY)
    return list(yaml.safe_load_all(written["root/kubeadm.yaml"]))


def test_the_first_machine_starts_argus_own_cluster_with_a_token_for_all(args: ClusterArgs) -> None:
    init, *others = kubeadm(args, 0)
    given, *settings = yaml.safe_load_all(init_config(args.cluster, args.all_machines[0]))
    assert others == settings
    assert init == {**given, "bootstrapTokens": [{"token": TOKEN}], "certificateKey": KEY}


def test_the_others_join_as_argus_joins_them(args: ClusterArgs) -> None:
    for index, control_plane in ((1, True), (4, False)):
        (given,) = yaml.safe_load_all(join_config(args.cluster, args.all_machines[index]))
        (joining,) = kubeadm(args, index)
        assert joining["nodeRegistration"] == given["nodeRegistration"]
        assert joining["discovery"]["bootstrapToken"]["token"] == TOKEN
        # The script gets the hash from the first machine.
        assert joining["discovery"]["bootstrapToken"]["caCertHashes"] == ["@CA_HASH@"]
        assert joining.get("controlPlane", {}).get("certificateKey") == (KEY if control_plane else None)


def test_only_control_planes_balance_and_hold_the_address(args: ClusterArgs) -> None:
    balancing = {
        machine.name
        for machine in args.all_machines
        if {"etc/haproxy/haproxy.cfg", "etc/keepalived/keepalived.conf"}
        <= files(args, machine, token=TOKEN, certificate_key=KEY).keys()
    }
    assert balancing == {"cp1", "cp2", "cp3"}


def test_the_script_fills_in_whatever_a_file_leaves_open(args: ClusterArgs) -> None:
    for machine in args.all_machines:
        for text in files(args, machine, token=TOKEN, certificate_key=KEY).values():
            assert set(re.findall(r"@[A-Z_]+@", text)) <= set(re.findall(r"@[A-Z_]+@", SCRIPT.read_text()))


def node(name: str, status: str, since: str) -> dict[str, Any]:
    ready = {"type": "Ready", "status": status, "lastTransitionTime": since, "message": "no network"}
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "DiskPressure", "status": "False"}, ready]}}


def test_the_cluster_is_ready_when_its_last_node_is() -> None:
    nodes = [node("a", "True", "1970-01-01T00:00:09Z"), node("b", "True", "1970-01-01T00:00:04Z")]
    assert ready_at({"items": nodes}) == 10
    with pytest.raises(LabError, match="b is not Ready: no network"):
        ready_at({"items": [nodes[0], node("b", "False", "1970-01-01T00:00:04Z")]})


def test_the_report_has_every_step_and_says_what_it_includes() -> None:
    times = {step: [10.0] for step in STEPS} | {BY_HAND_FROM_BARE: [20.0], UP: [30.0]}
    lines = report(times).splitlines()
    cells = {row[0]: row[1:] for row in ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:10])}
    assert cells[BY_HAND.name] == ["10.0", "1.00", ""]
    assert cells[UP.name] == ["30.0", "3.00", "1.50"]
    assert {line.split(":")[0] for line in lines[11:]} == {f"- {step.name}" for step in STEPS}
