"""All problems of all machines are reported at once, with remedies."""

import json
from dataclasses import replace

import pytest

from components.cluster.facts import Facts, no_answer, not_understood, problems
from tests.unit.components.answers import printed
from tests.unit.components.cluster.conftest import cluster_args, cluster_section, machine, machines, worker

ARGS = cluster_args(
    machines=machines([machine("cp1", "192.0.2.11"), machine("cp2", "192.0.2.12")]),
    cluster=cluster_section(minimumMemoryMiB=1700, minimumDiskGiB=20, schedulePodsOnControlPlanes=True),
)
FIT = Facts(
    skew_seconds=1,
    os="debian",
    os_version="12",
    systemd=True,
    root=True,
    hostname="cp1",
    machine_id="aaa",
    memory_mib=4000,
    disk_mib=100_000,
    disks=["/var/lib 1 200000 100000", "/var/lib/argus/volumes 1 200000 100000"],
    volumes=[],
    swap=[],
    ports_in_use=[],
    firewalls=[],
    addresses=["127.0.0.1", "192.0.2.11"],
    macs=["02:00:00:00:00:11"],
    virtual_ip_holder="",
    cluster="",
)
OTHER = replace(
    FIT, hostname="cp2", machine_id="bbb", addresses=["127.0.0.1", "192.0.2.12"], macs=["02:00:00:00:00:12"]
)


def test_fit_machines_have_no_problem() -> None:
    assert problems({"cp1": FIT, "cp2": OTHER}, ARGS) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"root": False}, "sudo without a password"),
        ({"os": "alpine", "os_version": "3.20"}, "runs alpine 3.20"),
        ({"os_version": "11"}, "runs debian 11"),
        ({"os": "", "os_version": ""}, "an unknown system"),
        ({"systemd": False}, "boot it with systemd"),
        ({"addresses": ["10.0.0.5"]}, "none of its interfaces has 192.0.2.11 (it has 10.0.0.5)"),
        ({"memory_mib": 900}, "900 MiB of memory, 1700 needed"),
        ({"disk_mib": 3000}, "2 GiB free in /var/lib, 20 needed"),
        ({"skew_seconds": 90}, "90 s ahead of"),
        ({"skew_seconds": -90}, "90 s behind"),
        ({"swap": ["/dev/sda2"]}, "swaps to /dev/sda2: turn it off (swapoff -a)"),
        ({"ports_in_use": ["6443", "10250"]}, "port 6443, 10250 in use"),
        (
            {"firewalls": ["ufw", "nftables ip filter INPUT"]},
            "drops packets there (ufw, nftables ip filter INPUT): open",
        ),
        ({"cluster": "https://198.51.100.1:6443"}, "is a node of another cluster (https://198.51.100.1:6443)"),
        ({"machine_id": "bbb"}, "has the machine-id 'bbb' of cp2"),
        ({"hostname": "cp2"}, "has the hostname 'cp2' of cp2"),
        ({"virtual_ip_holder": "02:99:99:99:99:99"}, "sees 192.0.2.10 in use by 02:99:99:99:99:99"),
    ],
)
def test_a_problem_is_named_with_its_machine(change: dict[str, object], says: str) -> None:
    found = [line for line in problems({"cp1": replace(FIT, **change), "cp2": OTHER}, ARGS) if line.startswith("cp1 ")]
    assert len(found) == 1
    assert found[0].startswith("cp1 (192.0.2.11): ")
    assert says in found[0]


def test_what_a_firewall_must_let_through_is_listed_by_the_kind_of_machine() -> None:
    args = cluster_args(
        machines=machines(
            [machine("cp1", "192.0.2.11")], [worker("worker1", "192.0.2.21"), worker("worker2", "192.0.2.22")]
        ),
        cluster=cluster_section(minimumMemoryMiB=0, minimumDiskGiB=0, endpointPort=9443),
    )
    behind = {
        "cp1": replace(FIT, firewalls=["ufw"]),
        "worker1": replace(OTHER, addresses=["192.0.2.21"], firewalls=["firewalld"]),
        "worker2": replace(OTHER, addresses=["192.0.2.22"], machine_id="c", hostname="c"),
    }
    control_plane, node = problems(behind, args)
    assert "TCP 6443 and 9443 from every machine" in control_plane
    assert "2379 and 2380" in control_plane and "protocol 112" in control_plane
    assert node.startswith("worker1 (192.0.2.21): a firewall drops packets there (firewalld): open ")
    assert "6443" not in node and "2379" not in node
    for each in (control_plane, node):
        assert "TCP 10250 from the control planes (192.0.2.11) and from pods" in each
        assert "pods (10.244.0.0/16)" in each and "forwarded" in each
        assert each.endswith("then set argus:cluster.firewalls: opened (docs/operations.md, A firewall)")
    opened = replace(args, cluster=args.cluster.model_copy(update={"firewalls": "opened"}))
    assert problems(behind, opened) == []


def test_facts_are_told_from_what_a_login_shell_prints() -> None:
    answer = printed(json.dumps(vars(FIT)))
    assert Facts.parse(f"Welcome.\nno new line{answer}Bye\n") == FIT


@pytest.mark.parametrize(
    "said", ["", "Welcome.\n", json.dumps(vars(FIT)), printed(""), printed("{}"), printed("{"), printed("[]")]
)
def test_facts_that_are_not_understood_are_a_problem_of_their_machine(said: str) -> None:
    with pytest.raises(ValueError):
        Facts.parse(said)
    assert "its facts are not understood (it printed " in not_understood(said)
    assert len(not_understood("x" * 5000)) < 400


def test_all_problems_of_all_machines_come_together() -> None:
    found = problems(
        {"cp1": replace(FIT, memory_mib=1, disk_mib=1, machine_id="bbb", hostname="cp2"), "cp2": OTHER}, ARGS
    )
    assert [line.split(":")[0] for line in found] == ["cp1 (192.0.2.11)"] * 4 + ["cp2 (192.0.2.12)"] * 2


def test_a_pod_that_fits_no_machine_is_one_of_them() -> None:
    pods = {"models[0].executorMemoryMiB": 4096, "kafka.heapMiB": 512}
    args = replace(ARGS, pods=pods)
    (found,) = problems({"cp1": FIT, "cp2": OTHER}, args)
    assert found.startswith("argus:models[0].executorMemoryMiB: a pod of 4096 MiB, and cp1, the largest machine")
    assert found.endswith("has 4000 MiB: lower it, or add a larger machine")
    assert problems({"cp1": FIT, "cp2": replace(OTHER, memory_mib=5000)}, args) == []
    # A machine that does not answer may be large enough.
    assert len(problems({"cp1": FIT, "cp2": no_answer("connection refused")}, args)) == 1


def test_a_machine_that_does_not_answer_is_one_of_them() -> None:
    found = problems({"cp1": no_answer("connection refused"), "cp2": replace(OTHER, memory_mib=1)}, ARGS)
    assert len(found) == 2
    assert "cp1 (192.0.2.11): does not answer over SSH (connection refused)" in found[0]


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("connection refused", "does not answer over SSH (connection refused)"),
        ("sudo: a password is required", "may not become root there (sudo: a password is required)"),
        ("the command on 192.0.2.11 failed: exit status 1", "reading its facts failed"),
        ("Process exited with status 1", "reading its facts failed"),
    ],
)
def test_why_nothing_is_known_of_a_machine(reason: str, says: str) -> None:
    assert says in no_answer(reason)


def test_a_member_of_this_cluster_keeps_its_ports_and_address() -> None:
    member = replace(
        FIT, cluster="https://192.0.2.10:8443", ports_in_use=["6443"], virtual_ip_holder="02:00:00:00:00:12"
    )
    assert problems({"cp1": member, "cp2": OTHER}, ARGS) == []


def test_a_member_whose_own_images_and_records_fill_its_disk_is_fit() -> None:
    member = replace(FIT, cluster=ARGS.server, disk_mib=3000)
    assert problems({"cp1": member, "cp2": OTHER}, ARGS) == []


def test_volumes_that_do_not_fit_are_named_with_their_machine() -> None:
    args = replace(ARGS, volumes_gib={"kafka": 200, "consumer": 500})
    found = problems({"cp1": FIT, "cp2": OTHER}, args)
    assert [line.split(":")[0] for line in found] == ["cp1 (192.0.2.11)", "cp2 (192.0.2.12)"]
    assert all("its volumes do not fit: 700 GiB (consumer 500, kafka 200)" in line for line in found)
    # A machine that runs no pods has no volumes; one that passed is not judged by what it was before.
    only_workers = replace(args, cluster=cluster_section(), machines=machines([machine("cp1", "192.0.2.11")]))
    assert problems({"cp1": FIT}, only_workers) == []
    assert len(problems({"cp1": FIT, "cp2": OTHER}, args, ["cp1"])) == 1


def test_who_held_the_address_long_ago_may_have_been_replaced() -> None:
    stranger = replace(FIT, virtual_ip_holder="02:99:99:99:99:99")
    member = replace(stranger, cluster=ARGS.server)
    assert problems({"cp1": member, "cp2": OTHER}, ARGS) == []
    assert problems({"cp1": stranger, "cp2": OTHER}, ARGS, ["cp1"]) == []


def test_of_an_accepted_machine_only_what_it_shares_counts() -> None:
    accepted = replace(FIT, memory_mib=1, ports_in_use=["6443"], machine_id=OTHER.machine_id)
    found = problems({"cp1": accepted, "cp2": OTHER}, ARGS, ["cp1"])
    assert [line.split(":")[0] for line in found] == ["cp1 (192.0.2.11)", "cp2 (192.0.2.12)"]
    assert all("machine-id" in line for line in found)
