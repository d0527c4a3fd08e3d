"""The scripts that take a machine out, run where a folder stands for the control plane that they run on."""

import subprocess

import pytest

from tests.unit.components.cluster.conftest import Host

VOLUMES = """worker2 argus data-kafka-1 Bound
worker2 argus data-consumer-0 Bound
worker2   Available
worker1 argus data-kafka-0 Bound"""


def kubectl(*, nodes: str = "", ready: str = "True", services: str = "statefulset") -> str:
    """A kubectl that knows a cluster."""
    return f"""shift 2
    case "$*" in
      "get nodes -l node-role.kubernetes.io/control-plane"*) printf '{nodes}' ;;
      *'@.type=="InternalIP"'*) echo 192.0.2.22 ;;
      *'@.type=="Ready"'*) echo {ready} ;;
      "get persistentvolumes"*) echo '{VOLUMES}' ;;
      *"get statefulset"*"--ignore-not-found"*) echo "{services}" ;;
      "get pods"*) printf 'argus kafka-1\\nargus ui-x\\n' ;;
    esac"""


@pytest.fixture
def member(hosts: dict[str, Host]) -> Host:
    """A control plane."""
    host = hosts["cp1"]
    host.join()
    host.path("noted").unlink()
    return host


def verbs(host: Host) -> list[str]:
    """What kubectl was asked to change, in order."""
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


def test_a_cluster_that_is_destroyed_has_no_service_to_wait_for(member: Host) -> None:
    member.program("kubectl", kubectl(services=""))
    member.run("drain.sh", node="worker2")
    assert not [call for call in verbs(member) if "rollout" in call]


def test_where_the_cluster_is_gone_nothing_is_drained(hosts: dict[str, Host]) -> None:
    hosts["cp1"].path("noted").touch()
    hosts["cp1"].run("drain.sh", node="worker2")
    assert hosts["cp1"].ran("kubectl") == []


ALL_LIVE = "cp1 True\\ncp2 True\\ncp3 True\\n"
REFUSED = "loses its majority: take out one control plane at a time"


@pytest.mark.parametrize(
    ("nodes", "stay", "refused"),
    [
        (ALL_LIVE, ["cp1", "cp2", "cp3"], False),
        (ALL_LIVE, ["cp1", "cp2"], False),
        (ALL_LIVE, ["cp1", "cp2", "cp4"], False),
        (ALL_LIVE, ["cp1"], True),
        ("cp1 True\\ncp2 True\\ncp3 Unknown\\n", ["cp1", "cp2"], False),
        ("cp1 True\\ncp2 True\\ncp3 Unknown\\n", ["cp1", "cp3"], True),
        (ALL_LIVE + "cp4 True\\ncp5 True\\n", ["cp1", "cp2", "cp3"], False),
        ("", ["cp1"], False),
    ],
)
def test_etcd_keeps_a_living_majority(member: Host, nodes: str, stay: list[str], refused: bool) -> None:
    member.program("kubectl", kubectl(nodes=nodes))
    with pytest.raises(subprocess.CalledProcessError) as error:
        # Without an interface of this address the script ends after the check.
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


def test_a_name_that_another_machine_has_by_now_is_not_forgotten(member: Host) -> None:
    member.program("kubectl", kubectl())
    member.run("forget.sh", node="worker2", address="192.0.2.21")
    assert verbs(member) == []
    member.run("forget.sh", node="worker2", address="192.0.2.22")
    assert verbs(member)[0].startswith("delete node worker2 ")
