"""How nodes get the key that encrypts secrets in etcd: the scripts, run on folders that stand for machines."""

import base64
import os
from pathlib import Path

import pytest
import yaml

from components.cluster.kubeadm import AUDIT_LOGS, AUDIT_POLICY, ENCRYPTION_CONFIG, PATCHES
from tests.unit.components.cluster.conftest import FOLDER, Host

PROBED = ("etcd", "kube-apiserver", "kube-scheduler")
"""The pods that kubeadm lets kubelets ask every second."""


def key_of(host: Host) -> str:
    (resource,) = yaml.safe_load(host.encryption.read_text())["resources"]
    (key,) = resource["providers"][0]["secretbox"]["keys"]
    return str(key["secret"])


def test_the_first_control_plane_makes_a_key_for_secrets(hosts: dict[str, Host]) -> None:
    cp1 = hosts["cp1"]
    cp1.join()
    config = yaml.safe_load(cp1.encryption.read_text())
    assert (config["apiVersion"], config["kind"]) == ("apiserver.config.k8s.io/v1", "EncryptionConfiguration")
    (resource,) = config["resources"]
    assert resource["resources"] == ["secrets"]
    assert [next(iter(provider)) for provider in resource["providers"]] == ["secretbox", "identity"]
    assert len(base64.b64decode(key_of(cp1), validate=True)) == 32
    assert cp1.encryption.stat().st_mode & 0o777 == 0o600


def test_every_control_plane_has_the_same_key(hosts: dict[str, Host]) -> None:
    cp1, cp2 = hosts["cp1"], hosts["cp2"]
    cp1.join()
    cp2.join(cp1.invite("cp2"))
    assert cp2.encryption.read_bytes() == cp1.encryption.read_bytes()
    assert cp2.encryption.stat().st_mode & 0o777 == 0o600
    assert cp2.invite("cp3").count("ENCRYPTION=") == 1


def test_the_key_is_never_an_argument_or_in_the_environment(hosts: dict[str, Host]) -> None:
    cp1, cp2 = hosts["cp1"], hosts["cp2"]
    cp1.join()
    invitation = cp1.invite("cp2")
    (encoded,) = (
        line.removeprefix("ENCRYPTION=") for line in invitation.splitlines() if line.startswith("ENCRYPTION=")
    )
    cp2.join(invitation)
    for host in (cp1, cp2):
        assert f"kubeadm {'init' if host is cp1 else 'join'} --config" in host.noted
        assert key_of(cp1) not in host.noted
        assert encoded not in host.noted


@pytest.mark.parametrize("comment", ["#", "##", "###"])
def test_a_file_of_any_length_arrives_whole(hosts: dict[str, Host], comment: str) -> None:
    sent = f"kind: EncryptionConfiguration\n{comment}\n"
    hosts["cp2"].join(
        f"TOKEN=abc\nCA_HASH=sha256:1\nCERTIFICATE_KEY=2\nENCRYPTION={base64.b64encode(sent.encode()).decode()}\n"
    )
    assert hosts["cp2"].encryption.read_text() == sent


def test_an_interrupted_start_makes_another_key(hosts: dict[str, Host]) -> None:
    cp1 = hosts["cp1"]
    cp1.encryption.write_text("of an attempt that did not finish")
    cp1.encryption.chmod(0o644)
    cp1.path("/etc/kubernetes/kubelet.conf").touch()
    cp1.join()
    assert "kubeadm reset" in cp1.noted
    assert key_of(cp1)
    assert cp1.encryption.stat().st_mode & 0o777 == 0o600


def test_a_member_keeps_its_key(hosts: dict[str, Host]) -> None:
    cp1 = hosts["cp1"]
    cp1.join()
    before = cp1.encryption.read_bytes()
    cp1.join("TOKEN=abc\nENCRYPTION=AAAA\n")
    assert cp1.encryption.read_bytes() == before


def test_a_cluster_made_without_encryption_grows_without_it(hosts: dict[str, Host]) -> None:
    cp1, cp2 = hosts["cp1"], hosts["cp2"]
    cp1.join()
    cp1.encryption.unlink()
    cp2.encryption.write_text("of an attempt that did not finish")
    invitation = cp1.invite("cp2")
    assert "ENCRYPTION" not in invitation
    assert "CERTIFICATE_KEY" in invitation
    cp2.join(invitation)
    assert not cp2.encryption.exists()


def test_a_worker_is_told_no_key_of_the_control_plane(hosts: dict[str, Host]) -> None:
    cp1, worker = hosts["cp1"], hosts["worker1"]
    cp1.join()
    invitation = cp1.invite("worker1", control_plane=False)
    assert [line.partition("=")[0] for line in invitation.splitlines()] == ["TOKEN", "CA_HASH"]
    worker.join(invitation, control_plane=False)
    assert not worker.encryption.exists()
    assert not worker.path(AUDIT_POLICY).exists()


def test_control_planes_that_join_together_are_told_one_key(hosts: dict[str, Host]) -> None:
    cp1 = hosts["cp1"]
    cp1.join()
    told = {line for name in ("cp2", "cp3") for line in cp1.invite(name).splitlines() if "CERTIFICATE_KEY=" in line}
    assert len(told) == 1
    kept = cp1.root / "run-argus-certificate-key"
    assert kept.stat().st_mode & 0o777 == 0o600
    # An empty file is from an interrupted attempt, and an old file's secret may have expired.
    for spoil in (lambda: kept.write_text(""), lambda: os.utime(kept, (0, 0))):
        spoil()
        (another,) = (line for line in cp1.invite("cp2").splitlines() if "CERTIFICATE_KEY=" in line)
        assert another not in told and another != "CERTIFICATE_KEY="
        told.add(another)


def test_a_control_plane_has_the_audit_policy_before_it_starts(hosts: dict[str, Host]) -> None:
    hosts["cp1"].join()
    assert hosts["cp1"].path(AUDIT_POLICY).read_text() == "kind: Policy\n"


def test_kubelets_seldom_ask_the_control_plane_pods_whether_they_are_ready(hosts: dict[str, Host]) -> None:
    hosts["cp1"].join()
    patches = sorted(hosts["cp1"].path(PATCHES).iterdir())
    assert [patch.name for patch in patches] == [f"{pod}+strategic.yaml" for pod in PROBED]
    for pod, patch in zip(PROBED, patches, strict=True):
        (container,) = yaml.safe_load(patch.read_text())["spec"]["containers"]
        assert container == {"name": pod, "readinessProbe": {"periodSeconds": 10}}


def test_a_worker_has_no_patches(hosts: dict[str, Host]) -> None:
    hosts["cp1"].join()
    hosts["worker1"].join(hosts["cp1"].invite("worker1", control_plane=False), control_plane=False)
    assert not hosts["worker1"].path(PATCHES).exists()


def test_no_trace_is_left() -> None:
    removed = [
        word
        for line in (FOLDER / "node_delete.sh").read_text().splitlines()
        if "rm -rf" in line
        for word in line.split()
    ]
    assert AUDIT_LOGS in removed
    assert str(Path(ENCRYPTION_CONFIG).parent) in removed
    assert str(Path(AUDIT_POLICY).parent) in removed
    assert str(Path(PATCHES).parent) in removed
