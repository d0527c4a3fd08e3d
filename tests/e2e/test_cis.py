"""The CIS benchmark's items on the lab's machines (docs/cis.md): files, flags, kubelets and their certificates."""

import shlex
from functools import cache

import pytest
import yaml

from lab.config import machine
from tests.e2e.conftest import Stack
from tests.e2e.machines import CONTROL_PLANES, EVERYBODY, on

ALWAYS = ["/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet.conf", "/etc/systemd/system/kubelet.service"]
FOLDERS = ["/etc/kubernetes/manifests", "/etc/kubernetes/pki", "/etc/cni/net.d"]
KUBECONFIGS = [f"/etc/kubernetes/{name}.conf" for name in ("admin", "super-admin", "scheduler", "controller-manager")]

GIVEN = {
    "kube-apiserver": {
        "--authorization-mode": "Node,RBAC",
        "--enable-admission-plugins": "NodeRestriction,DenyServiceExternalIPs",
        "--kubelet-certificate-authority": "/etc/kubernetes/pki/ca.crt",
        "--profiling": "false",
        "--tls-min-version": "VersionTLS13",
        "--audit-log-maxage": "30",
        "--audit-log-maxbackup": "10",
        "--audit-log-maxsize": "100",
        "--etcd-cafile": "/etc/kubernetes/pki/etcd/ca.crt",
        "--client-ca-file": "/etc/kubernetes/pki/ca.crt",
    },
    "kube-controller-manager": {
        "--profiling": "false",
        "--use-service-account-credentials": "true",
        "--bind-address": "127.0.0.1",
        "--root-ca-file": "/etc/kubernetes/pki/ca.crt",
    },
    "kube-scheduler": {"--profiling": "false", "--bind-address": "127.0.0.1"},
    "etcd": {
        "--client-cert-auth": "true",
        "--peer-client-cert-auth": "true",
        "--trusted-ca-file": "/etc/kubernetes/pki/etcd/ca.crt",
    },
}
PRESENT = {
    "kube-apiserver": [
        "--audit-log-path",
        "--audit-policy-file",
        "--authentication-config",
        "--encryption-provider-config",
        "--etcd-certfile",
        "--etcd-keyfile",
        "--kubelet-client-certificate",
        "--kubelet-client-key",
        "--service-account-key-file",
        "--tls-cert-file",
        "--tls-private-key-file",
    ],
    "kube-controller-manager": ["--service-account-private-key-file"],
    "kube-scheduler": [],
    "etcd": ["--cert-file", "--key-file", "--peer-cert-file", "--peer-key-file"],
}
ABSENT = {
    "kube-apiserver": [
        "--token-auth-file",
        "--disable-admission-plugins",
        "--request-timeout",
        "--service-account-lookup",
    ],
    "kube-controller-manager": [],
    "kube-scheduler": [],
    "etcd": ["--auto-tls", "--peer-auto-tls"],
}
"""Flags whose defaults the benchmark asks for."""


@pytest.mark.parametrize("name", [*CONTROL_PLANES, "worker1"])
def test_only_root_reads_a_node_s_files(stack: Stack, name: str) -> None:
    files = ALWAYS + (KUBECONFIGS if name in CONTROL_PLANES else [])
    found = on(name, f"find {shlex.join([*files, *FOLDERS])} -type f -printf '%m %U:%G %p\\n' 2>/dev/null || true")
    assert len(found) > len(ALWAYS)
    assert [line for line in found if line.split()[:2] != ["600", "0:0"]] == []
    if name in CONTROL_PLANES:
        assert on(name, "stat -c %a /var/lib/etcd") == ["700"]


@cache
def flags(name: str, program: str) -> dict[str, str]:
    """The flags that a program runs with on a machine."""
    lines = on(name, f"tr '\\0' '\\n' </proc/$(pgrep -o -f '^{program} ')/cmdline")
    return dict(line.partition("=")[::2] for line in lines if line.startswith("--"))


@pytest.mark.parametrize("program", GIVEN)
@pytest.mark.parametrize("name", CONTROL_PLANES)
def test_the_control_plane_s_programs_run_with_these_flags(stack: Stack, name: str, program: str) -> None:
    found = flags(name, program)
    assert {flag: found.get(flag) for flag in GIVEN[program]} == GIVEN[program]
    assert [flag for flag in PRESENT[program] if not found.get(flag)] == []
    assert [flag for flag in ABSENT[program] if flag in found] == []


def test_the_kubelet_runs_with_these_settings(stack: Stack) -> None:
    for name in EVERYBODY:
        config = yaml.safe_load("\n".join(on(name, "cat /var/lib/kubelet/config.yaml")))
        assert config["authentication"]["anonymous"]["enabled"] is False
        assert config["authentication"]["x509"]["clientCAFile"] == "/etc/kubernetes/pki/ca.crt"
        assert config["authorization"]["mode"] == "Webhook"
        wanted = {
            "rotateCertificates": True,
            "serverTLSBootstrap": True,
            "tlsMinVersion": "VersionTLS13",
            "seccompDefault": True,
            "podPidsLimit": 4096,
        }
        assert {key: config.get(key) for key in wanted} == wanted
        # Zero stands for the default: streams end after four hours without data, and 50 events a second are recorded.
        assert config.get("streamingConnectionIdleTimeout", "0s") == "0s"
        assert config.get("eventRecordQPS", 0) == 0


@pytest.mark.parametrize("name", EVERYBODY)
def test_every_kubelet_serves_a_certificate_of_the_cluster_s(stack: Stack, name: str) -> None:
    address = machine(name).address
    options = f"-connect {address}:10250 -CAfile /etc/kubernetes/pki/ca.crt -verify_return_error -verify_ip {address}"
    on("cp1", f"openssl s_client {options} </dev/null >/dev/null 2>&1")


def test_kube_proxy_s_metrics_are_its_machine_s_alone(stack: Stack) -> None:
    for name in EVERYBODY:
        listening = on(name, "ss -Hltn 'sport = :10249' | awk '{ print $4 }'")
        assert listening == ["127.0.0.1:10249"]
