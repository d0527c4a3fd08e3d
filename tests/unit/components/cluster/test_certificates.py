"""The renewal of certificates, run on a folder that stands for a control plane."""

import os
import subprocess
from datetime import UTC, datetime

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from components.cluster.certificates import RENEWAL
from tests.unit.components.cluster.conftest import Host

ENDED = ["etcd", "kube-controller-manager", "kube-scheduler"]
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"


def openssl(due: str = "none") -> str:
    """An openssl for which only the certificate of this name is due."""
    return f'case "$*" in *-enddate*) echo "notAfter=Nov 25 03:00:00 2027 GMT" ;; *-checkend*{due}.crt) exit 1 ;; esac'


@pytest.fixture
def renewing(hosts: dict[str, Host]) -> Host:
    """A control plane with the timer installed, on which every program succeeds."""
    host = hosts["cp1"]
    host.run("certificates.sh", days=90, renew="\n".join(host.moved(file).read_text() for file in RENEWAL))
    host.path("noted").unlink()
    for program in ("chmod", "curl", "pkill", "sleep"):
        host.program(program, "")
    manifest = host.path(MANIFEST)
    manifest.parent.mkdir(parents=True)
    manifest.write_text("metadata:\n  annotations:\n    kubeadm: kept\n")
    # Another process where the manifest is another: kubelet starts static pods anew.
    host.program("pgrep", f'cksum <"$MACHINE{MANIFEST}"')
    host.program("openssl", openssl())
    return host


def renew(host: Host) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [host.path("/usr/local/lib/argus/renew-certificates"), "90"],
        env={"PATH": f"{host.root}/bin:{os.environ['PATH']}", "MACHINE": str(host.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_a_timer_looks_every_day(renewing: Host) -> None:
    timer = renewing.path("/etc/systemd/system/argus-certificates.timer").read_text()
    assert "OnCalendar=daily" in timer
    service = renewing.path("/etc/systemd/system/argus-certificates.service").read_text()
    assert "/usr/local/lib/argus/renew-certificates 90\n" in service


def test_nothing_happens_while_none_is_due(renewing: Host) -> None:
    assert renew(renewing).returncode == 0
    assert len([call for call in renewing.ran("openssl") if "-checkend" in call]) == 7
    assert renewing.ran("kubeadm") == []


def test_one_that_is_due_renews_all_and_restarts_their_readers_in_turn(renewing: Host) -> None:
    renewing.program("openssl", openssl(due="etcd/peer"))
    assert renew(renewing).returncode == 0
    assert renewing.ran("kubeadm") == ["certs renew all"]
    assert renewing.ran("pkill") == [f"-f ^{program} " for program in ENDED]
    # An API server that is ended is the same pod, which the kubelet starts later each time.
    annotations = yaml.safe_load(renewing.path(MANIFEST).read_text())["metadata"]["annotations"]
    assert annotations.keys() == {"argus/started", "kubeadm"}


def test_an_api_server_that_does_not_start_again_is_an_error(renewing: Host) -> None:
    renewing.program("openssl", openssl(due="etcd/peer"))
    renewing.program("pgrep", "echo 1")
    done = renew(renewing)
    assert done.returncode == 1
    assert "does not start with its new certificate" in done.stderr
    assert renewing.ran("pkill") == ["-f ^etcd "]


def test_a_cluster_that_is_not_well_is_left_alone(renewing: Host) -> None:
    renewing.program("openssl", openssl(due="apiserver"))
    renewing.program("curl", "exit 22")
    done = renew(renewing)
    assert done.returncode == 1
    assert "not renewed now" in done.stderr
    assert renewing.ran("kubeadm") == []


def test_the_dates_are_a_metric(renewing: Host) -> None:
    assert renew(renewing).returncode == 0
    metrics = renewing.path("/var/lib/prometheus/node-exporter/argus-certificates.prom").read_text()
    (family,) = text_string_to_metric_families(metrics)
    assert family.name == "argus_certificate_expiry_timestamp_seconds"
    assert {sample.value for sample in family.samples} == {datetime(2027, 11, 25, 3, tzinfo=UTC).timestamp()}
    names = {sample.labels["path"].rpartition("/")[2] for sample in family.samples}
    assert {"apiserver.crt", "ca.crt", "peer.crt", "kubelet-client-current.pem"} <= names
