"""The host firewall: what each machine is told, in which order, and whom the scripts count as a stranger.

What the rules let through is tried by tests/integration/cluster/test_host_firewall.py.
"""

import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pulumi
import pytest

from components.cluster import Cluster, ClusterArgs, host_firewall
from components.cluster.host_firewall import address_towards, shut_out
from components.cluster.removal import undo_script
from components.config.sections import Bastion
from tests.unit.components.answers import unpacked
from tests.unit.components.cluster.conftest import FOLDER, Host, cluster_section
from tests.unit.components.cluster.test_cluster import ARGS, CONTROL_PLANES, answering
from tests.unit.components.host_keys import host_key

ADDRESSES = {each.name: each.host for each in ARGS.all_machines}
NODES = "10.1.1.1 control-plane\n"


def declared(recorder: Any, args: ClusterArgs = ARGS) -> Any:
    """All that a cluster registers."""
    answering(recorder).run(lambda: Cluster("lab", args).kubeconfig)
    return recorder


def with_section(**cluster: Any) -> ClusterArgs:
    return replace(ARGS, cluster=cluster_section(**cluster))


def told(recorder: Any, name: str) -> list[str]:
    """The lines of a step's script."""
    return unpacked(recorder.named(name).inputs["create"]).splitlines()


def test_every_machine_gets_the_nodes_when_it_runs_and_not_in_its_script(pulumi_mocks: Any) -> None:
    """So a machine costs no more in a larger stack (ADR 51)."""
    made = declared(pulumi_mocks)
    for name, own in ADDRESSES.items():
        step = made.named(f"lab-firewall-{name}").inputs
        assert step["stdin"] == "the output of lab-firewall-nodes"
        text = "\n".join(told(made, f"lab-firewall-{name}"))
        assert [address for address in ADDRESSES.values() if address in text] == [own]


def test_a_worker_has_no_ports_of_etcd_and_no_clients_of_the_api() -> None:
    args = with_section(apiClients=["198.51.100.0/24"])
    for each in args.all_machines:
        values = host_firewall.firewall_of(args, each).values
        etcd, clients = (["2379", "2380"], ["198.51.100.0/24"]) if each.control_plane else ([], [])
        assert values["PORTS"] == ["10250", "10256", *etcd]
        assert values["API_CLIENTS"] == clients
        assert f"\nCONTROL_PLANE={str(each.control_plane).lower()}\n" in str(values["PROGRAM"])


def test_control_planes_are_admitted_before_they_join_and_workers_only_where_the_api_is_not_for_all(
    pulumi_mocks: Any,
) -> None:
    made = declared(pulumi_mocks)
    closed = declared(type(pulumi_mocks)(), with_section(apiClients=["198.51.100.0/24"]))
    for each in CONTROL_PLANES:
        admitted = {"MACHINES='192.0.2.11 control-plane", "192.0.2.12 control-plane", "192.0.2.13 control-plane'"}
        assert admitted <= set(told(made, f"lab-{each.name}-admission-admitted"))
        assert {"192.0.2.21 worker", "192.0.2.22 worker'"} <= set(told(closed, f"lab-{each.name}-admission-admitted"))


def test_switched_off_it_is_taken_away_and_nothing_is_asked(pulumi_mocks: Any) -> None:
    made = declared(pulumi_mocks, with_section(hostFirewall="off"))
    names = {each.name for each in made.resources}
    assert not [name for name in names if "admission" in name or name == "lab-firewall-nodes"]
    for name in ADDRESSES:
        assert "FIREWALL=off" in told(made, f"lab-firewall-{name}")
        assert made.named(f"lab-firewall-{name}").inputs.get("stdin") is None


def test_behind_a_bastion_the_login_does_not_say_where_requests_come_from() -> None:
    bastion = Bastion(host="bastion.test", hostKey=host_key("bastion"))
    options = ARGS.ssh.options.model_copy(update={"bastion": bastion})
    behind = replace(ARGS, ssh=replace(ARGS.ssh, options=options))
    for args, direct in ((ARGS, True), (behind, False)):
        assert host_firewall.firewall_of(args, args.all_machines[0]).values["DIRECT"] is direct


def test_every_undo_takes_it_out() -> None:
    for each in ARGS.all_machines:
        assert "host_firewall_delete.sh" in {file.name for file in undo_script(ARGS.on(each)).files}


def test_the_nodes_are_the_stack_s_machines_and_those_that_leave(hosts: dict[str, Host]) -> None:
    host = hosts["cp1"]
    printed = "192.0.2.11 control-plane\\n192.0.2.13 control-plane\\n192.0.2.29 worker\\n"
    host.program("kubectl", f"printf '{printed}'")
    machines = ["192.0.2.11 control-plane", "192.0.2.21 worker"]
    listed = host.run("host_firewall_nodes.sh", machines=machines).stdout
    # One that has not joined yet is let in too; what a node says of itself gives it no role of the stack's.
    assert listed.splitlines() == [*machines, "192.0.2.13 control-plane leaving", "192.0.2.29 worker leaving"]


@pytest.mark.parametrize(
    ("own", "clients", "warns"),
    [
        ("192.0.2.7", (), False),
        ("192.0.2.7", ("192.0.2.0/24",), False),
        ("192.0.2.7", ("198.51.100.0/24", "192.0.2.7/32"), False),
        ("192.0.2.7", ("198.51.100.0/24",), True),
        (None, ("198.51.100.0/24",), False),
    ],
)
def test_a_preview_warns_where_this_computer_would_not_reach_the_api(
    own: str | None, clients: tuple[str, ...], warns: bool
) -> None:
    said = shut_out(own and IPv4Address(own), [IPv4Network(each) for each in clients])
    assert (said is not None) is warns
    if said:
        assert said.startswith("argus:cluster.apiClients does not contain 192.0.2.7, this computer's address")


def test_the_warning_is_the_program_s(pulumi_mocks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    monkeypatch.setattr(host_firewall, "address_towards", lambda host: IPv4Address("203.0.113.9"))
    declared(pulumi_mocks, with_section(apiClients=["198.51.100.0/24"]))
    assert ["203.0.113.9" in each for each in said] == [True]


def test_this_computer_knows_its_address_on_the_way_to_another() -> None:
    assert address_towards("127.0.0.1") == IPv4Address("127.0.0.1")


def function(call: str, stdin: str) -> list[str]:
    """What one of the shared functions prints."""
    sourced = f". {FOLDER}/functions/host_firewall.sh; {call}"
    done = subprocess.run(["bash", "-c", sourced], input=stdin, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("sources", "strangers"),
    [
        ("192.0.2.11 10.244.0.0/16", ["192.0.2.12", "10.245.0.0", "255.255.255.255", "fd00::1"]),
        ("192.0.2.0/24 10.244.0.0/15", ["255.255.255.255", "fd00::1"]),
        ("192.0.2.12/31", ["192.0.2.11", "10.244.255.255", "10.245.0.0", "255.255.255.255", "fd00::1"]),
        ("0.0.0.0/0", ["fd00::1"]),
        ("128.0.0.0/1", ["10.244.255.255", "10.245.0.0", "fd00::1"]),
    ],
)
def test_who_is_outside(sources: str, strangers: list[str]) -> None:
    tried = ["192.0.2.11", "192.0.2.12", "10.244.255.255", "10.245.0.0", "255.255.255.255", "fd00::1"]
    assert function(f"outside {sources}", "\n".join([*tried, ""])) == strangers
    assert function(f"outside {sources}", "\n") == []
