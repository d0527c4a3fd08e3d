"""Settings of living members: what is left alone, what starts anew, and what comes back if it does not start."""

import subprocess

import pytest

from components.cluster.kubeadm import AUDIT_POLICY, AUTHENTICATION, ENCRYPTION_CONFIG
from tests.unit.components.cluster.conftest import Host

MANIFESTS = "/etc/kubernetes/manifests"
MANIFEST = f"{MANIFESTS}/kube-apiserver.yaml"
KUBELET = "/var/lib/kubelet/config.yaml"
PROCESSORS = "/etc/systemd/system/kubelet.service.d/90-argus-processors.conf"


def kubeadm(*, kubelet: str = "same", manifest: str = "same", others: str = "same") -> str:
    """A kubeadm that writes these contents; `others` to the controller manager and the scheduler."""
    return f"""case "$*" in
      *"phase kubelet-config"*) echo {kubelet} >"$MACHINE{KUBELET}" ;;
      *"control-plane apiserver"*) echo {manifest} >"$MACHINE{MANIFEST}" ;;
      *"control-plane "*) echo {others} >"$MACHINE{MANIFESTS}/kube-$4.yaml" ;;
    esac"""


# Another process where the file is another: the kubelet starts static pods anew.
PGREP = f'pod=${{3#^}}; cksum <"$MACHINE{MANIFESTS}/${{pod% }}.yaml"'


@pytest.fixture
def host(member: Host) -> Host:
    pods = [
        f"{MANIFESTS}/{pod}.yaml" for pod in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    for path in (KUBELET, *pods):
        member.path(path).parent.mkdir(parents=True, exist_ok=True)
        member.path(path).write_text("same\n")
    programs = {"kubeadm": kubeadm(), "pgrep": PGREP, "sleep": "", "curl": ""}
    for program, body in programs.items():
        member.program(program, body)
    return member


def apply(host: Host, *, control_plane: bool = True, processors: str = "") -> subprocess.CompletedProcess[str]:
    return host.run(
        "settings.sh",
        name=host.name,
        address="192.0.2.99",
        control_plane=control_plane,
        config="kind: ClusterConfiguration" if control_plane else "",
        audit_policy="kind: Policy" if control_plane else "",
        authentication="kind: AuthenticationConfiguration" if control_plane else "",
        kubelet="kind: KubeletConfiguration",
        go_max_procs=processors,
    )


def restarts(host: Host) -> list[str]:
    return [call for call in host.ran("systemctl") if call.startswith("restart")]


def test_a_member_with_its_settings_is_left_as_it_is(host: Host) -> None:
    done = apply(host)
    assert (done.stdout, done.stderr) == ("", "")
    assert restarts(host) == []


def test_a_control_plane_uploads_first_and_its_kubelet_comes_before_its_api_server(host: Host) -> None:
    host.program("kubeadm", kubeadm(kubelet="new", manifest="new"))
    done = apply(host)
    assert restarts(host) == ["restart kubelet.service"]
    assert [call.split(" --config")[0] for call in host.ran("kubeadm")] == [
        "init phase upload-config all",
        "upgrade node phase kubelet-config",
        "init phase control-plane apiserver",
        "init phase control-plane controller-manager",
        "init phase control-plane scheduler",
    ]
    assert "starts anew" in done.stderr
    assert host.path(MANIFEST).read_text() == "new\n"


def test_a_worker_takes_the_kubelets_settings_and_has_no_api_server(host: Host) -> None:
    host.program("kubeadm", kubeadm(kubelet="new"))
    apply(host, control_plane=False)
    assert restarts(host) == ["restart kubelet.service"]
    (call,) = host.ran("kubeadm")
    assert call.startswith("upgrade node phase kubelet-config")


def test_an_api_server_that_does_not_start_gets_its_former_settings_back(host: Host) -> None:
    host.program("kubeadm", kubeadm(manifest="broken"))
    host.program("pgrep", "echo 1")  # The former process goes on.
    with pytest.raises(subprocess.CalledProcessError) as failed:
        apply(host)
    assert "the former ones are back" in failed.value.stderr
    assert host.path(MANIFEST).read_text() == "same\n"


def test_the_pods_of_a_control_plane_start_anew_one_after_the_other(host: Host) -> None:
    host.program("kubeadm", kubeadm(manifest="new", others="new"))
    said = [line for line in apply(host).stderr.splitlines() if "starts anew" in line]
    assert [line.split()[0] for line in said] == ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]


def test_the_kubelet_uses_as_many_processors_as_the_stack_says(host: Host) -> None:
    apply(host, processors="1")
    assert host.path(PROCESSORS).read_text() == "[Service]\nEnvironment=GOMAXPROCS=1\n"
    assert restarts(host) == ["restart kubelet.service"]

    assert apply(host, processors="1").stderr == ""
    assert len(restarts(host)) == 1

    apply(host)
    assert not host.path(PROCESSORS).exists()
    assert len(restarts(host)) == 2


def test_what_the_api_server_reads_is_there_before_it_starts_and_only_for_root(host: Host) -> None:
    apply(host)
    for path, content in ((AUDIT_POLICY, "kind: Policy\n"), (AUTHENTICATION, "kind: AuthenticationConfiguration\n")):
        assert host.path(path).read_text() == content
        assert host.path(path).stat().st_mode & 0o777 == 0o600


def test_a_cluster_made_without_encryption_gets_a_file_that_leaves_secrets_as_they_are(host: Host) -> None:
    kept = host.encryption.read_text()
    apply(host)
    assert host.encryption.read_text() == kept
    host.encryption.unlink()
    apply(host)
    text = host.path(ENCRYPTION_CONFIG).read_text()
    assert "identity: {}" in text and "secretbox" not in text


def test_nobody_but_root_reads_a_node_s_files(host: Host) -> None:
    key = host.path("/etc/kubernetes/pki/etcd/server.key")
    key.parent.mkdir()
    for file in (key, host.path(KUBELET), host.path(MANIFEST)):
        file.write_text("same\n")
        file.chmod(0o644)
    apply(host)
    assert {file.stat().st_mode & 0o777 for file in (key, host.path(KUBELET), host.path(MANIFEST))} == {0o600}
