"""The scripts that remove a machine, run on a folder that stands for a control plane."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from components.cluster.endpoint import haproxy_config, keepalived_config
from components.remote import Value
from tests.unit.components.cluster.conftest import Host, endpoint_args

VOLUMES = """worker2 argus data-kafka-1 Bound
worker2 argus data-consumer-0 Bound
worker2   Available
worker1 argus data-kafka-0 Bound"""


def kubectl(
    *, etcd: Sequence[str] = (), lost: Sequence[str] = (), ready: str = "True", services: str = "statefulset"
) -> str:
    """A stand-in for kubectl with a cluster's state."""
    members = "".join(f"8e9e05c5, started, {name}, https://{name}:2380, https://{name}:2379, false\\n" for name in etcd)
    dead = "".join(f'"get node {name} "*) echo Unknown ;;\n' for name in lost)
    return f"""shift 2
    case "$*" in
      *"etcdctl"*"member list"*) printf '{members}' ;;
      *'@.type=="InternalIP"'*) echo 192.0.2.22 ;;
      *"configmap kubeadm-config"*) echo "kubernetesVersion: v1.36.1" ;;
      {dead}
      *'@.type=="Ready"'*) echo {ready} ;;
      "get persistentvolumes"*) echo '{VOLUMES}' ;;
      *"get statefulset"*"--ignore-not-found"*) echo "{services}" ;;
      "get pods"*) printf 'argus kafka-1\\nargus ui-x\\n' ;;
    esac"""


def verbs(host: Host) -> list[str]:
    """The changes made by kubectl, in order."""
    asked = (call.split(" ", 2)[2] for call in host.ran("kubectl"))
    return [call for call in asked if not call.startswith("get ") and " get " not in call]


def test_a_living_machine_is_drained_after_its_claims_are_given_up(member: Host) -> None:
    member.program("kubectl", kubectl())
    member.run("drain.sh", node="worker2")
    cordon, first, second, drain, *waited = verbs(member)
    assert cordon == "cordon worker2"
    assert first == "--namespace argus delete persistentvolumeclaim data-kafka-1 --wait=false"
    assert second == "--namespace argus delete persistentvolumeclaim data-consumer-0 --wait=false"
    assert drain.startswith("drain worker2 ")
    assert waited == [
        "--namespace argus rollout status statefulset/kafka --timeout=300s",
        "--namespace argus rollout status statefulset/consumer --timeout=300s",
    ]


def test_a_dead_machine_is_not_waited_for(member: Host) -> None:
    member.program("kubectl", kubectl(ready="Unknown"))
    member.run("drain.sh", node="worker2")
    asked = verbs(member)
    assert not [call for call in asked if call.startswith("drain ")]
    assert [call for call in asked if "delete pod " in call] == [
        f"--namespace argus delete pod {pod} --force --grace-period=0 --wait=false --ignore-not-found"
        for pod in ("kafka-1", "ui-x")
    ]


def test_a_machine_that_dies_unnoticed_is_not_waited_for(member: Host) -> None:
    """The cluster reports it as ready until its lease expires."""
    member.program(
        "kubectl",
        f"""case "$*" in *" drain "*) touch "$MACHINE/dead"; exit 1 ;; esac
        if [[ -e $MACHINE/dead ]]; then {kubectl(ready="Unknown")}; else {kubectl()}; fi""",
    )
    member.run("drain.sh", node="worker2")
    asked = verbs(member)
    assert len([call for call in asked if call.startswith("drain ")]) == 1
    assert len([call for call in asked if "delete pod " in call]) == 2


def test_a_cluster_that_is_destroyed_has_no_service_to_wait_for(member: Host) -> None:
    member.program("kubectl", kubectl(services=""))
    member.run("drain.sh", node="worker2")
    assert not [call for call in verbs(member) if "rollout" in call]


def test_where_the_cluster_is_gone_nothing_is_drained(hosts: dict[str, Host]) -> None:
    hosts["cp1"].path("noted").touch()
    hosts["cp1"].run("drain.sh", node="worker2")
    assert hosts["cp1"].ran("kubectl") == []


REFUSED = "loses its majority: take out one control plane at a time"


@pytest.mark.parametrize(
    ("etcd", "lost", "stay", "refused"),
    [
        (3, [], ["cp1", "cp2", "cp3"], False),
        (3, [], ["cp1", "cp2"], False),
        (3, [], ["cp1", "cp2", "cp4"], False),
        (3, [], ["cp1"], True),
        (3, ["cp3"], ["cp1", "cp2"], False),
        (3, ["cp3"], ["cp1", "cp3"], True),
        (5, [], ["cp1", "cp2", "cp3"], False),
        # After a restore, etcd has one member, whatever the nodes.
        (1, ["cp2", "cp3"], ["cp1"], False),
        (0, [], ["cp1"], False),
    ],
)
def test_etcd_keeps_a_living_majority(member: Host, etcd: int, lost: list[str], stay: list[str], refused: bool) -> None:
    member.program("kubectl", kubectl(etcd=[f"cp{n + 1}" for n in range(etcd)], lost=lost))
    with pytest.raises(subprocess.CalledProcessError) as error:
        # No interface has this address, so the script ends after the check.
        member.run(
            "endpoint.sh",
            address="192.0.2.11",
            virtual_ip="192.0.2.10",
            port=8443,
            haproxy="-",
            keepalived="-",
            control_planes=stay,
        )
    assert (REFUSED in error.value.stderr) is refused
    assert ("no interface of this machine has the address" in error.value.stderr) is not refused


def serve_endpoint(member: Host, keepalived: str = "") -> None:
    """Run the step on the first of two control planes."""
    member.program("haproxy", "")
    member.program("keepalived", keepalived)
    member.program("timeout", "")  # Something listens at the virtual IP.
    args = endpoint_args(2)
    member.run(
        "endpoint.sh",
        address="192.0.2.11",
        virtual_ip="192.0.2.10",
        port=8443,
        haproxy=haproxy_config(args),
        keepalived=keepalived_config(args),
        control_planes=["cp1", "cp2"],
    )


INSECURE = """\
Wrong file type found in script path '/bin/bash'.
Disabling track script api_server due to insecure"""
"""As keepalived 2.3.3 of Debian 13 says of a path with a link in it."""


def test_a_check_that_keepalived_would_leave_out_is_an_error(member: Host) -> None:
    member.program("ip", "echo '2: eth0 inet 192.0.2.11/24 scope global eth0'")
    with pytest.raises(subprocess.CalledProcessError) as error:
        serve_endpoint(member, f'echo "{INSECURE}" >&2; exit 5')
    assert "keepalived does not run its checks" in error.value.stderr
    assert "Disabling track script api_server" in error.value.stderr
    assert not any("keepalived" in call for call in member.ran("systemctl") if "start" in call)
    # What it says besides is no reason: it warns of much.
    serve_endpoint(member, "echo '(endpoint) This usage is deprecated' >&2; exit 5")


def test_no_check_of_keepalived_has_a_path_with_a_link_in_it() -> None:
    paths = re.findall(r'script "(\S+)', keepalived_config(endpoint_args(2)))
    assert paths and all(path.startswith("/usr/bin/") for path in paths)


@pytest.mark.parametrize("theirs", [None, "82 mine\n"])
def test_the_name_that_keepalived_gives_its_mark_goes_with_it(member: Host, theirs: str | None) -> None:
    name = member.path("/etc/iproute2/rt_addrprotos.d/keepalived.conf")
    if theirs:
        name.parent.mkdir(parents=True)
        name.write_text(theirs)
    member.program("ip", "echo '2: eth0 inet 192.0.2.11/24 scope global eth0'")
    serve_endpoint(member)
    name.parent.mkdir(parents=True, exist_ok=True)
    name.write_text("18 keepalived\n")
    member.run("endpoint_delete.sh")
    assert (name.read_text() if name.exists() else None) == theirs
    assert name.parent.exists() is bool(theirs)


@pytest.mark.parametrize(
    ("known", "leaving"),
    [
        ("192.0.2.11 192.0.2.12", []),
        ("192.0.2.11 192.0.2.12 192.0.2.13", ["192.0.2.13"]),
        # cp2 gets another host: the old one stays the node until the new one joins.
        ("192.0.2.11 192.0.2.21", ["192.0.2.21"]),
    ],
)
def test_a_control_plane_that_leaves_hears_who_has_the_virtual_ip(member: Host, known: str, leaving: list[str]) -> None:
    nodes = f"printf '%s\\n' {known}"
    member.program("kubectl", f"""case "$*" in *"get nodes "*node-role.kubernetes.io/control-plane*) {nodes} ;; esac""")
    member.program("ip", "echo '2: eth0 inet 192.0.2.11/24 scope global eth0'")
    serve_endpoint(member)
    written = member.path("/etc/keepalived/keepalived.conf").read_text()
    assert "interface eth0\n" in written
    assert written.split("unicast_peer {")[1].split("}")[0].split() == ["192.0.2.12", *leaving]


@pytest.mark.parametrize(("ready", "forgotten"), [("Unknown", True), ("True", False)])
def test_a_machine_that_is_only_said_to_be_lost_is_forgotten_if_it_is(
    member: Host, ready: str, forgotten: bool
) -> None:
    member.program("kubectl", kubectl(ready=ready))
    try:
        member.run("forget.sh", argument="lost", node="worker2", address="192.0.2.22")
    except subprocess.CalledProcessError as error:
        assert "worker2 lives, but another machine answers at 192.0.2.22" in error.stderr
    assert ("delete node worker2 " in "".join(verbs(member))) is forgotten


def test_a_machine_that_did_not_leave_etcd_leaves_it_before_its_node_goes(member: Host) -> None:
    member.program("kubectl", kubectl(etcd=["cp1", "cp2"], ready="Unknown"))
    member.run("forget.sh", node="cp2", address="192.0.2.22")
    changes = [call for call in verbs(member) if "member list" not in call]
    assert "etcdctl" in changes[0]
    assert changes[0].endswith("member remove 8e9e05c5")
    assert changes[1].startswith("delete node cp2 ")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts that wait a second where they would wait a minute."""
    moved = Host.moved

    def sooner(host: Host, file: str) -> Path:
        path = moved(host, file)
        path.write_text(re.sub(r"until_true (60|120) ", "until_true 1 ", path.read_text()))
        return path

    monkeypatch.setattr(Host, "moved", sooner)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("file", "argument", "values"),
    [
        ("invitation.sh", "rejoin", {"joining": "cp2", "control_plane": True, "version": "1.36.1"}),
        ("forget.sh", "", {"node": "cp2"}),
        ("forget.sh", "lost", {"node": "cp2"}),
    ],
)
def test_no_member_leaves_etcd_while_its_node_is_ready(
    member: Host, file: str, argument: str, values: dict[str, Value]
) -> None:
    """Whoever says so: the machine itself may be wrong, if its state is on a disk that is not mounted."""
    member.program("kubectl", kubectl(etcd=["cp1", "cp2"], ready="True"))
    with pytest.raises(subprocess.CalledProcessError) as error:
        member.run(file, argument=argument, address="192.0.2.22", **values)
    assert "cp2" in error.value.stderr
    assert "member remove" not in member.noted
    assert "delete node" not in member.noted
    assert "token create" not in member.noted


@pytest.mark.usefixtures("impatient")
def test_no_member_leaves_etcd_while_its_node_is_not_known_to_be_lost(member: Host) -> None:
    answers = kubectl(etcd=["cp1", "cp2"])
    member.program("kubectl", f"""case "$*" in *"get node cp2"*conditions*) exit 1 ;; esac\n{answers}""")
    with pytest.raises(subprocess.CalledProcessError):
        member.run("forget.sh", node="cp2", address="192.0.2.22")
    assert "member remove" not in member.noted
    assert "delete node" not in member.noted


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("asked", "file", "says"),
    [
        ("member list", "endpoint.sh", "etcd does not answer, so whether it would keep its majority is not known"),
        ("node-role.kubernetes.io/control-plane", "endpoint.sh", "the API server does not answer"),
        ("get persistentvolumes", "drain.sh", "the API server does not answer"),
        ("get statefulset", "drain.sh", "the API server does not answer"),
    ],
)
def test_no_answer_is_not_the_answer_that_there_is_none(member: Host, asked: str, file: str, says: str) -> None:
    answers = kubectl(etcd=["cp1", "cp2"])
    member.program("kubectl", f"""case "$*" in *"{asked}"*) exit 1 ;; esac\n{answers}""")
    member.program("ip", "echo '2: eth0 inet 192.0.2.11/24 scope global eth0'")
    member.program("haproxy", "")
    endpoint = {"address": "192.0.2.11", "virtual_ip": "192.0.2.10", "port": 8443, "haproxy": "-", "keepalived": "-"}
    values: dict[str, Value] = {**endpoint, "control_planes": ["cp1", "cp2"]} if file == "endpoint.sh" else {}
    with pytest.raises(subprocess.CalledProcessError) as error:
        member.run(file, node="worker2", **values)
    assert says in error.value.stderr


@pytest.mark.parametrize(("argument", "removed"), [("rejoin", True), ("", False)])
def test_a_control_plane_that_lost_its_disk_leaves_etcd_before_it_joins_again(
    member: Host, argument: str, removed: bool
) -> None:
    member.program("kubectl", kubectl(etcd=["cp1", "cp2"], ready="Unknown"))
    member.run(
        "invitation.sh", argument=argument, joining="cp2", address="192.0.2.22", control_plane=True, version="1.36.1"
    )
    assert ("member remove 8e9e05c5" in member.noted) is removed
    assert "delete node" not in member.noted


def test_a_name_that_another_machine_has_by_now_is_not_forgotten(member: Host) -> None:
    member.program("kubectl", kubectl())
    member.run("forget.sh", node="worker2", address="192.0.2.21")
    assert verbs(member) == []
    member.run("forget.sh", node="worker2", address="192.0.2.22")
    first = next(call for call in verbs(member) if "etcdctl" not in call)
    assert first.startswith("delete node worker2 ")
