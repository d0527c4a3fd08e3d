"""An API server starts anew with other keys of Secrets, as another pod, or goes on with the former ones."""

import subprocess
from typing import Any

import pytest
import yaml

from components.cluster.kubeadm import ENCRYPTION_CONFIG, PATCHES
from tests.unit.components.cluster.conftest import Host

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
AS_KUBEADM_WRITES_IT = """apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.99:6443
  name: kube-apiserver
spec:
  containers: [{name: kube-apiserver}]
"""
# Another process where the manifest is another: kubelet starts static pods anew.
PGREP = f'cksum <"$MACHINE{MANIFEST}"'


@pytest.fixture
def host(member: Host) -> Host:
    manifest = member.path(MANIFEST)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(AS_KUBEADM_WRITES_IT)
    for program, body in {"pgrep": PGREP, "pkill": "", "sleep": "", "curl": ""}.items():
        member.program(program, body)
    return member


def put(host: Host, keys: str) -> None:
    """Raises subprocess.CalledProcessError."""
    host.run("encryption_put.sh", stdin=keys)


def annotations(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)["metadata"]["annotations"]
    return found


def test_it_is_another_pod_each_time_and_nobody_ends_it(host: Host) -> None:
    manifest, patch = host.path(MANIFEST), host.path(f"{PATCHES}/kube-apiserver1+strategic.yaml")
    (kubeadms,) = annotations(AS_KUBEADM_WRITES_IT)
    started = set()
    for keys in ("first YQ==\n", "second Yg==\nfirst YQ==\n"):
        put(host, keys)
        found = annotations(manifest.read_text())
        # What kubeadm would write by its patch, in its order.
        assert list(found) == ["argus/started", kubeadms]
        assert annotations(patch.read_text()) == {"argus/started": found["argus/started"]}
        started.add(found["argus/started"])
    assert len(started) == 2
    assert host.ran("pkill") == []
    assert manifest.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in manifest.parent.iterdir()] == [manifest.name], "the kubelet would start what is there"


def test_with_its_keys_it_goes_on(host: Host) -> None:
    put(host, "first YQ==\n")
    before = host.path(MANIFEST).read_text()
    put(host, "first YQ==\n")
    assert host.path(MANIFEST).read_text() == before


def test_one_that_does_not_start_gets_the_former_keys_again(host: Host) -> None:
    put(host, "first YQ==\n")
    host.program("pgrep", "echo 1")  # The former process goes on.
    with pytest.raises(subprocess.CalledProcessError) as failed:
        put(host, "second Yg==\n")
    assert "the former ones are back" in failed.value.stderr
    assert "second" not in host.path(ENCRYPTION_CONFIG).read_text()
