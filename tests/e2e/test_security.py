"""Access control: secrets in etcd, the audit log, kubelets, etcd, pods without rights, certificates."""

import errno
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from components.kubernetes import HTTP_PORT, METRICS_PORT, PROBE_PORT
from lab.config import machine
from lab.machines import ssh
from tests.e2e.accounting import Audit
from tests.e2e.cluster import NAMESPACE, is_ready
from tests.e2e.conftest import Stack
from tests.e2e.machines import CONTROL_PLANES, EVERYBODY, KUBECTL, etcdctl, kubectl, on, stack_with
from tests.e2e.strangers import SERVICE, Target, everything_that_listens
from tests.e2e.waiting import wait_until

SECRET = "producer-0-credentials"


def test_secrets_are_encrypted_in_etcd_with_one_key(stack: Stack) -> None:
    prefix = "k8s:enc:secretbox:v1:key1:"
    stored = etcdctl("cp1", f"get --print-value-only /registry/secrets/{NAMESPACE}/{SECRET} | head -c {len(prefix)}")
    assert stored == [prefix]
    assert stack.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")["data"]
    files = {name: on(name, "stat -c %a-%U /etc/kubernetes/encryption.yaml") for name in CONTROL_PLANES}
    assert set(map(tuple, files.values())) == {("600-root",)}
    keys = {on(name, "sha256sum </etc/kubernetes/encryption.yaml")[0] for name in CONTROL_PLANES}
    assert len(keys) == 1
    assert on("worker1", "ls /etc/kubernetes | grep -c encryption || true") == ["0"]


@pytest.mark.full
def test_the_key_of_secrets_changes_by_one_edit_and_no_frame_is_missed(stack: Stack, tmp_path: Path) -> None:
    audit = Audit.open(stack.cluster)
    edited = stack_with(tmp_path, lambda config: config["argus:cluster"].update(secretsKey="second"))
    try:
        stack.up(edited)
        stored = etcdctl("cp1", "get --prefix --print-value-only /registry/secrets/ | grep -a -o 'secretbox:v1:[^:]*'")
        assert set(stored) == {"secretbox:v1:second"}
        for name in CONTROL_PLANES:
            assert on(name, "grep -c 'name:' /etc/kubernetes/encryption.yaml") == ["1"], "the old key is still there"
        assert stack.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}")["data"]
    finally:
        stack.up()
    audit.close(on_disk=False)


def test_who_changed_what_is_on_record_without_what_it_says(stack: Stack) -> None:
    kubectl("cp1", f"-n {NAMESPACE} create secret generic audited --from-literal=word=hush")
    try:
        search = "grep -h audited /var/log/kubernetes/audit.log || true"
        logged = [line for name in CONTROL_PLANES for line in on(name, search)]
        assert any('"verb":"create"' in line and '"username":"kubernetes-admin"' in line for line in logged), logged
        assert not any("hush" in line or "aHVzaA" in line or "requestObject" in line for line in logged)
    finally:
        kubectl("cp1", f"-n {NAMESPACE} delete secret audited")


@pytest.mark.parametrize("name", ["cp1", "worker1"])
def test_a_kubelet_answers_nobody_it_does_not_know(stack: Stack, name: str) -> None:
    """Asked from a machine of the cluster: others do not get that far."""
    address = machine(name).address
    assert _status(f"https://{address}:10250/pods") == "401"
    assert _status(f"http://{address}:10255/pods") == "000", "the read-only port is open"


def test_etcd_answers_nobody_without_a_certificate(stack: Stack) -> None:
    address = machine("cp1").address
    assert on("cp2", f"timeout 5 bash -c ':</dev/tcp/{address}/2379' && echo in") == ["in"], "cp2 does not get that far"
    assert _status(f"https://{address}:2379/version") == "000"


def test_a_host_beside_the_machines_opens_no_port_of_the_cluster_but_the_api(stack: Stack) -> None:
    """This host is no machine of the cluster."""
    ports = {name: (10250, 10256, *((2379, 2380, 6443) if name in CONTROL_PLANES else ())) for name in EVERYBODY}
    targets = [Target(name, str(machine(name).address), port) for name, each in ports.items() for port in each]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(_answers, targets))
    found = {(each.kind, each.port) for each, answered in zip(targets, answers, strict=True) if answered}
    assert found == {(name, 6443) for name in CONTROL_PLANES}


def test_a_host_beside_the_machines_that_adds_routes_reaches_no_pod_and_no_service(stack: Stack) -> None:
    """This host is on the machines' network, and no machine of the cluster. It tries every port of the pipeline that
    listens: the page's, and those of Kafka, ZooKeeper, Elasticsearch, producers, consumers, drivers and executors."""
    targets = everything_that_listens(stack.cluster)
    assert {target.kind for target in targets} >= {"ui", "kafka", "zookeeper", "elasticsearch", "producer", SERVICE}
    where = {pod["status"]["podIP"]: pod["spec"]["nodeName"] for pod in stack.cluster.pods()}
    routes = {
        host: [host, "via", str(machine(where.get(host, "cp1")).address)] for host in {each.host for each in targets}
    }
    added: list[list[str]] = []
    try:
        for route in routes.values():
            subprocess.run(["ip", "route", "add", *route], check=True)
            added.append(route)
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(_answers, targets))
    finally:
        for route in added:
            subprocess.run(["ip", "route", "del", *route], check=True)
    assert [str(target) for target, answered in zip(targets, answers, strict=True) if answered] == []


def test_metrics_are_for_who_shows_the_token_and_probes_say_no_more_than_well(stack: Stack) -> None:
    """Of every kind of pod that has them; a pod's own machine is let in by every network."""
    asked = 0
    for pod in stack.cluster.pods():
        name, address, by = pod["metadata"]["name"], pod["status"].get("podIP"), pod["spec"]["nodeName"]
        ports = {port.get("name") for each in pod["spec"]["containers"] for port in each.get("ports") or ()}
        if "metrics" not in ports or not is_ready(pod) or "deletionTimestamp" in pod["metadata"]:
            continue
        asked += 1
        assert any(line.startswith("argus_") for line in stack.cluster.metrics(name)), name
        assert _status(f"https://{address}:{METRICS_PORT}/metrics", by) == "401", name
        assert _status(f"http://{address}:{METRICS_PORT}/metrics", by) == "000", name
        probes = PROBE_PORT if "probes" in ports else HTTP_PORT
        assert on(by, f"curl -s --noproxy '*' --max-time 5 http://{address}:{probes}/readyz") == ["well"], name
        assert _status(f"http://{address}:{probes}/metrics", by) == "404", name
    assert asked > 4


def test_a_pod_that_asks_for_rights_is_refused(stack: Stack) -> None:
    reached, said = ssh.answer(
        machine("cp1"),
        f"{KUBECTL} -n {NAMESPACE} run intruder --image=pause --privileged --dry-run=server",
    )
    assert not reached
    assert 'violates PodSecurity "restricted:v1.36"' in said


def test_certificates_are_renewed_before_they_expire(stack: Stack) -> None:
    """Runs the timer's program with a limit longer than kubeadm's one year, so that all certificates are due."""
    before = _expiry("cp2")
    on("cp2", "systemctl is-active argus-certificates.timer")
    # Certificates expire at a full second, and kubeadm may have made these within the present one.
    on("cp2", "sleep 1 && /usr/local/lib/argus/renew-certificates 400")
    assert _expiry("cp2") > before
    wait_until("the API", stack.cluster.unreachable, limit_s=30)


def _answers(target: Target) -> bool:
    """Whether anything comes back from there, also a refusal."""
    try:
        socket.create_connection((target.host, target.port), 5).close()
    except TimeoutError:
        return False
    except OSError as error:
        return error.errno == errno.ECONNREFUSED
    return True


def _status(url: str, by: str = "cp2") -> str:
    """The HTTP status for an unauthenticated request from a machine; 000 without an answer."""
    options = "--insecure --silent --noproxy '*' --max-time 5 --output /dev/null --write-out '%{http_code}'"
    (status,) = on(by, f"curl {options} {url} || true")
    return status


def _expiry(name: str) -> datetime:
    (line,) = on(name, "openssl x509 -noout -enddate -in /etc/kubernetes/pki/apiserver.crt")
    return datetime.strptime(line.removeprefix("notAfter="), "%b %d %H:%M:%S %Y %Z")
