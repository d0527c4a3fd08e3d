"""All problems of all machines are reported at once, with remedies."""

import json
from dataclasses import replace

import pytest

from components.cluster.facts import Facts, no_answer, not_understood, problems
from components.config.sections import Encryption
from tests.unit.components.answers import printed
from tests.unit.components.cluster.conftest import Host, cluster_args, cluster_section, machine, machines, worker

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
    containerd="1.6.20~ds1",
    disk_mib=100_000,
    disks=["/var/lib 1 200000 100000", "/var/lib/argus/volumes 1 200000 100000"],
    volumes=[],
    swap=[],
    ports_in_use=[],
    firewalls=[],
    addresses=["127.0.0.1", "192.0.2.11"],
    macs=["02:00:00:00:00:11"],
    virtual_ip_holder="",
    encrypts=True,
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
        ({"swap": ["/dev/sda2 partition"]}, "swaps to /dev/sda2: turn it off (swapoff -a): take it out of /etc/fstab"),
        ({"swap": ["/dev/zram0 zram"]}, "swaps to /dev/zram0: turn it off (swapoff -a): turn zram off with what makes"),
        ({"swap": ["swapfile.swap unit"]}, "would swap again after its next start (swapfile.swap): take it out of"),
        (
            {"swap": ["/a file", "/dev/zram0 zram", "b.swap unit"]},
            "swaps to /a, /dev/zram0: turn it off (swapoff -a) and would swap again after its next start (b.swap)",
        ),
        ({"os": "ubuntu", "os_version": "20.04"}, "runs ubuntu 20.04: install Debian 12 or Ubuntu 22.04, or newer"),
        (
            {"containerd": "1.5.9-0ubuntu3"},
            "has containerd 1.5.9-0ubuntu3, and the kubelet of Kubernetes 1.36.1 starts",
        ),
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
        ("ssh: handshake failed: read: connection reset by peer", "shut this address out for a while"),
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


def test_a_kernel_that_encrypts_no_volumes_is_named_before_one_is_made() -> None:
    encrypted = replace(ARGS, volumes_gib={"kafka": 1}, volume_encryption=Encryption.model_validate({"key": "key1"}))
    container = replace(FIT, encrypts=False, cluster=ARGS.server)
    (found,) = problems({"cp1": container, "cp2": OTHER}, encrypted)
    assert found.startswith(
        "cp1 (192.0.2.11): its kernel encrypts no volumes (there is no dm-crypt; a container has none)"
    )
    assert found.endswith("or remove argus:storage.encryption")
    for args in (ARGS, replace(encrypted, volumes_gib={}), replace(encrypted, volume_encryption=None)):
        assert problems({"cp1": container, "cp2": OTHER}, args) == []
    # A machine that runs no pods has no volumes.
    workers = replace(encrypted, cluster=cluster_section(minimumMemoryMiB=0, minimumDiskGiB=0))
    assert problems({"cp1": container, "cp2": OTHER}, workers) == []


@pytest.mark.parametrize(
    ("targets", "modules", "container", "encrypts"),
    [
        ("", "kernel/drivers/md/dm-crypt.ko.xz: kernel/drivers/md/dm-mod.ko.xz", False, True),
        ("crypt            v1.24.0", "", False, True),
        ("", "kernel/drivers/md/dm-mod.ko.xz:", False, False),
        ("striped          v1.6.0", "", False, False),
        ("", "", False, False),
        # It sees its host's modules, but has no devices of its own.
        ("crypt            v1.24.0", "kernel/drivers/md/dm-crypt.ko.xz:", True, False),
    ],
)
def test_whether_a_kernel_encrypts_is_known_without_loading_anything(
    hosts: dict[str, Host], targets: str, modules: str, container: bool, encrypts: bool
) -> None:
    host = hosts["worker1"]
    host.program("uname", "echo 6.12.1")
    host.program("systemd-detect-virt", "exit 0" if container else "exit 1")
    host.program("dmsetup", f"echo '{targets}'")
    host.path("/lib/modules/6.12.1").mkdir(parents=True)
    host.path("/lib/modules/6.12.1/modules.dep").write_text(f"{modules}\n")
    assert told(host).encrypts is encrypts


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


def told(host: Host) -> Facts:
    """What facts.sh says on a machine."""
    host.path("/var/lib").mkdir(parents=True, exist_ok=True)
    values = {"virtual_ip": "192.0.2.10", "ports": ("6443",), "volumes": "/var/lib/argus/volumes"}
    return Facts(**json.loads(host.run("facts.sh", "1000 asked", **values).stdout))


HELD = "192.0.2.10 dev eth0 lladdr 02:00:00:00:00:12"


@pytest.mark.parametrize(
    ("entries", "holder", "looks"),
    [
        ([f"{HELD} DELAY", f"{HELD} PROBE", f"{HELD} REACHABLE"], "02:00:00:00:00:12", 3),
        # The kernel may not have asked yet, so the first second says nothing.
        (["192.0.2.10 dev eth0 FAILED"] * 9, "", 6),
        ([f"{HELD} STALE"] * 50, "", 40),
    ],
)
def test_who_holds_the_virtual_ip_is_known_as_soon_as_the_kernel_knows(
    hosts: dict[str, Host], entries: list[str], holder: str, looks: int
) -> None:
    host = hosts["worker1"]
    host.path("/entries").write_text("\n".join(entries))
    host.program("sleep", "")
    host.program(
        "ip",
        """case $2 in neigh) echo >>"$MACHINE/looks"
        sed -n "$(wc -l <"$MACHINE/looks")p" "$MACHINE/entries" ;; esac""",
    )
    assert told(host).virtual_ip_holder == holder
    assert host.ran("sleep") == ["0.2"] * looks


HEADER = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
SWAPS = {
    "none": ("", "", []),
    "a partition of Debian's installer": (
        "/dev/sda5                               partition\t998396\t\t0\t\t-2\n",
        "dev-sda5.swap loaded active active /dev/sda5\n",
        ["/dev/sda5 partition"],
    ),
    "a volume of LVM": (
        "/dev/dm-1                               partition\t8388604\t\t0\t\t-2\n",
        "dev-mapper-vg\\x2dswap.swap loaded active active /dev/mapper/vg-swap\n",
        ["/dev/dm-1 partition"],
    ),
    "the file of Ubuntu's installer": (
        "/swap.img                               file\t\t4194300\t\t0\t\t-2\n",
        "swap.img.swap loaded active active /swap.img\n",
        ["/swap.img file"],
    ),
    "a file in a folder with a space": ("/srv/my\\040swap  file\t\t1024\t\t0\t\t-2\n", "", ["/srv/my\\040swap file"]),
    "zram of zram-tools and of its generator": (
        "/dev/zram0                              partition\t1003516\t\t0\t\t100\n"
        "/dev/zram1                              partition\t1003516\t\t0\t\t100\n",
        "dev-zram1.swap loaded active active Compressed Swap on /dev/zram1\n",
        ["/dev/zram0 zram", "/dev/zram1 zram"],
    ),
    "off until the next start": ("", "swapfile.swap loaded inactive dead /swapfile\n", ["swapfile.swap unit"]),
    "off for good": (
        "",
        "dev-sda5.swap masked inactive dead dev-sda5.swap\ndev-sdb.swap not-found inactive dead dev-sdb.swap\n",
        [],
    ),
}


@pytest.mark.parametrize("kind", SWAPS)
def test_swap_of_every_kind_is_seen(hosts: dict[str, Host], kind: str) -> None:
    host = hosts["worker1"]
    swaps, units, found = SWAPS[kind]
    host.path("/proc/swaps").parent.mkdir(parents=True, exist_ok=True)
    host.path("/proc/swaps").write_text(HEADER + swaps)
    host.program("systemctl", f"[[ $1 == list-units ]] && cat <<'SAID'\n{units}SAID")
    assert list(told(host).swap) == found
    assert bool(problems({"cp1": replace(FIT, swap=found), "cp2": OTHER}, ARGS)) == bool(found)


@pytest.mark.parametrize(
    ("release", "os", "version"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n', "debian", "13"),
        ('PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n', "ubuntu", "24.04"),
        # Debian's testing has no version.
        ("PRETTY_NAME='Debian GNU/Linux forky/sid'\nID=debian\n", "debian", ""),
        ('ID="linuxmint"\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n', "linuxmint", "22"),
    ],
)
def test_a_system_is_known_by_its_release(hosts: dict[str, Host], release: str, os: str, version: str) -> None:
    host = hosts["worker1"]
    host.path("/etc/os-release").parent.mkdir(parents=True, exist_ok=True)
    host.path("/etc/os-release").write_text(release)
    facts = told(host)
    assert (facts.os, facts.os_version) == (os, version)
    fit = os in {"debian", "ubuntu"} and version != ""
    assert (problems({"cp1": replace(FIT, os=os, os_version=version), "cp2": OTHER}, ARGS) == []) == fit


CONTAINERD = {
    "Debian 12's": ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u2", "1.6.20~ds1"),
    "Debian 13's": ("containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6+deb13u1", "1.7.24~ds1"),
    "one of one's own": ("containerd github.com/containerd/containerd/v2 2.4.2+unknown ", "2.4.2+unknown"),
    "Docker's": ("containerd containerd.io v2.2.1 dea7da592f5d1d2b7755e3a161be07f43fad8f75", "2.2.1"),
}
POLICY = """containerd:
  Installed: (none)
  Candidate: {}
  Version table:
     1.7.28-0ubuntu1~24.04.1 500
        500 http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages
"""
"""As apt-cache prints it."""


@pytest.mark.parametrize("whose", CONTAINERD)
def test_the_containerd_that_is_there_is_known_by_its_version(hosts: dict[str, Host], whose: str) -> None:
    host = hosts["worker1"]
    said, version = CONTAINERD[whose]
    host.program("containerd", f"echo '{said}'")
    host.program("apt-cache", "exit 1")
    assert told(host).containerd == version


@pytest.mark.parametrize(
    ("policy", "version"),
    [(POLICY.format("1.7.28-0ubuntu1~24.04.1"), "1.7.28-0ubuntu1~24.04.1"), (POLICY.format("(none)"), ""), ("", "")],
)
def test_where_there_is_none_the_one_that_apt_would_install_counts(
    hosts: dict[str, Host], policy: str, version: str
) -> None:
    host = hosts["worker1"]
    host.program("containerd", "exit 127")
    host.program("apt-cache", f"cat <<'SAID'\n{policy}SAID")
    assert told(host).containerd == version


@pytest.mark.parametrize("as_member", [False, True])
@pytest.mark.parametrize(
    ("kubernetes", "has", "needs"),
    [
        ("1.35.4", "1.6.20~ds1", None),
        ("1.36.1", "1.7.24~ds1-6+deb13u1", None),
        ("1.37.2", "1.6.20~ds1", None),
        ("1.38.0", "1.7.24~ds1", "2.0"),
        ("1.38.0", "2.0.10", None),
        ("1.40.0", "2.4.2+unknown", None),
        ("1.40.0", "1.7.35", "2.0"),
        # Not understood, so not judged: kubeadm asks containerd itself.
        ("1.38.0", "", None),
        ("1.38.0", "1:1.7", None),
    ],
)
def test_a_containerd_that_the_kubelet_would_not_start_with_is_refused_before_anything_changes(
    kubernetes: str, has: str, needs: str | None, as_member: bool
) -> None:
    args = replace(ARGS, cluster=ARGS.cluster.model_copy(update={"kubernetes_version": kubernetes}))
    machine = replace(FIT, containerd=has, cluster=ARGS.server if as_member else "")
    found = problems({"cp1": machine, "cp2": OTHER if needs is None else replace(OTHER, containerd="2.4.2")}, args)
    found = [line for line in found if line.startswith("cp1 ")]
    assert len(found) == (needs is not None)
    if needs:
        assert (
            f"has containerd {has}, and the kubelet of Kubernetes {kubernetes} starts with {needs} or newer" in found[0]
        )
        assert found[0].endswith("(docs/operations.md, containerd), or keep argus:cluster.kubernetesVersion below 1.38")


def test_of_several_network_cards_the_one_with_the_stack_s_address_counts(hosts: dict[str, Host]) -> None:
    host = hosts["worker1"]
    host.program(
        "ip",
        """case "$*" in "-o -4 addr show") cat <<'SAID'
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eno1    inet 198.51.100.7/24 brd 198.51.100.255 scope global dynamic eno1\\       valid_lft 80000sec
3: eno2    inet 192.0.2.11/24 brd 192.0.2.255 scope global eno2\\       valid_lft forever preferred_lft forever
3: eno2    inet 192.0.2.111/24 scope global secondary eno2\\       valid_lft forever preferred_lft forever
4: wg0    inet 10.8.0.2/32 scope global wg0\\       valid_lft forever preferred_lft forever
SAID
        esac""",
    )
    addresses = ["127.0.0.1", "198.51.100.7", "192.0.2.11", "192.0.2.111", "10.8.0.2"]
    assert list(told(host).addresses) == addresses
    assert problems({"cp1": replace(FIT, addresses=addresses), "cp2": OTHER}, ARGS) == []
