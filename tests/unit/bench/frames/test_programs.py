"""Processes are told apart by pod and by program."""

from typing import Any

import pytest

from tests.bench.frames.cpu import Kind
from tests.bench.frames.programs import Pods, Program, by_program, program, total

MACHINE = "/libpod_parent/libpod-" + "a" * 64
KAFKA, DRIVER, ETCD, METRICS = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)
UID = "0b5f4a7e-1111-2222-3333-444455556666"
STATIC = "f0" * 16


def pod(namespace: str, container: str, name: str, uid: str, /, **labels: str) -> dict[str, Any]:
    labels = {f"app.kubernetes.io/{key}": value for key, value in labels.items()}
    status = {"name": name, "containerID": f"containerd://{container}"}
    return {
        "metadata": {"namespace": namespace, "name": f"{name}-0", "uid": uid, "labels": labels},
        "status": {"containerStatuses": [status]},
    }


@pytest.fixture
def pods() -> Pods:
    etcd = pod("kube-system", ETCD, "etcd", "5" * 8 + "-1111-2222-3333-444455556666")
    etcd["metadata"]["annotations"] = {"kubernetes.io/config.hash": STATIC}
    found = Pods()
    found.add([
        pod("argus", KAFKA, "kafka", UID, name="kafka", component="log"),
        pod("argus", DRIVER, "driver", "7" * 8 + UID[8:], name="model-objects", component="driver"),
        pod("kube-system", METRICS, "metrics-server", "8" * 8 + UID[8:]),
        etcd,
    ])  # fmt: skip
    return found


def kind(name: str, cgroup: str = MACHINE, *, contained: bool = True, **more: bool) -> Kind:
    return Kind(name, cgroup, contained, more.get("kernel", False), more.get("instrument", False))


def inside(container: str, uid: str = UID) -> str:
    return f"{MACHINE}/kubepods/burstable/pod{uid}/{container}"


@pytest.mark.parametrize(
    ("given", "part", "name"),
    [
        (kind("java", inside(KAFKA)), "pipeline", "kafka: java"),
        (kind("python3.11", inside(DRIVER)), "pipeline", "model-objects driver: python"),
        (kind("pause", inside("9" * 64)), "pipeline", "kafka: pause"),
        (kind("pause", inside("9" * 64, UID.replace("-", "_"))), "pipeline", "kafka: pause"),
        (kind("java", inside("9" * 64, "c" * 8 + UID[8:])), "pipeline", "unknown pod: java"),
        (kind("etcd", inside(ETCD, STATIC)), "cluster", "etcd"),
        (kind("pause", inside("9" * 64, STATIC)), "cluster", "pause"),
        (kind("metrics-server", inside(METRICS)), "cluster", "metrics-server"),
        (kind("kube-controller", inside("9" * 64)), "cluster", "kube-controller-manager"),
        (kind("kubelet"), "cluster", "kubelet"),
        (kind("containerd"), "cluster", "containerd and shims"),
        (kind("containerd-shim"), "cluster", "containerd and shims"),
        (kind("runc:[2:INIT]", inside(KAFKA)), "cluster", "containerd and shims"),
        (kind("keepalived"), "cluster", "keepalived"),
        (kind("haproxy"), "cluster", "HAProxy"),
        (kind("sshd"), "machines", "machines: sshd"),
        (kind("camera-server"), "lab", "cameras"),
        (kind("docker-registry", "/", contained=False), "lab", "registry"),
        (kind("conmon", "/", contained=False), "lab", "conmon"),
        (kind("kworker/0:1", "/", contained=False, kernel=True), "kernel", "kernel threads"),
        (kind("python", "/", contained=False, instrument=True), "instrument", "the instrument"),
        (kind("containerd", "/", contained=False), "others", "containerd"),
        (kind("python3", "/", contained=False), "others", "python"),
    ],
)
def test_a_process_belongs_to_a_program(pods: Pods, given: Kind, part: str, name: str) -> None:
    assert program(given, pods) == Program(part, name)  # type: ignore[arg-type]


def test_a_pod_that_is_gone_stays_known(pods: Pods) -> None:
    pods.add([])
    assert program(kind("java", inside(KAFKA)), pods).name == "kafka: java"


def test_amounts_are_added_up_by_program_and_part(pods: Pods) -> None:
    amounts = {kind("kubelet"): 3, kind("kubelet", MACHINE + "/b"): 4, kind("java", inside(KAFKA)): 5}
    found = by_program(amounts, pods)
    assert found == {Program("cluster", "kubelet"): 7, Program("pipeline", "kafka: java"): 5}
    assert total(found, "cluster", "pipeline") == 12
    assert total(found, "cluster") == 7
