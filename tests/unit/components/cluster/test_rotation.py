"""The key of Secrets changes by one edit: every API server reads what any other writes, at each moment."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import components
from components.cluster.kubeadm import PATCHES
from components.remote import Script
from tests.unit.components.answers import SHELL
from tests.unit.components.cluster.conftest import Host
from tests.unit.components.host_keys import host_key

FOLDER = Path(components.__file__).parent
HOSTS = ("cp1", "cp2", "cp3")
OLD, NEW = "key1 b2xk", "2026-11 bmV3"

# Each host is a file with its keys; `said` has what was asked of whom, and then the keys of all hosts.
SSH = (
    f"""#!/bin/bash
{SHELL}"""
    + """
while [[ $1 == -* ]]; do shift 2; done
host=${1#*@}
echo "Welcome to $host"
[[ $host != "$DEAD" ]] || exit 255
case $2 in
  "$MUTE") exit 0 ;;
  read) answer "$(cat "$STATE/$host")" ;;
  put)
    new=$(cat)
    [[ $new != "$(cat "$STATE/$host")" ]] || { answer "" && exit 0; }
    [[ "$host $(cut -d' ' -f1 <<<"$new" | paste -sd,)" != "$FAILS" ]] || exit 1
    printf '%s\\n' "$new" >"$STATE/$host"
    echo "$host $(cut -d' ' -f1 <<<"$new" | paste -sd,)" >>"$STATE/said"
    answer "" ;;
  rewrite)
    echo rewrite >>"$STATE/said"
    answer "" ;;
  *) exit 0 ;;
esac
"""
)


def rotate(
    folder: Path,
    keys: Mapping[str, str],
    *,
    key: str = "2026-11",
    dead: str = "",
    fails: str = "",
    mute: str = "nobody",
) -> tuple[int, list[str], str]:
    """The exit status of a rotation, its changes in order, and its messages."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in {"ssh": SSH, "sleep": "#!/bin/sh\n", "ssh-keyscan": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for host, content in keys.items():
        (folder / host).write_text(f"{content}\n" if content else "")
    (folder / "said").write_text("")
    values = {"KEY": key, "HOSTS": list(HOSTS), "ENDPOINT": "endpoint", "SSH_USER": "root", "SSH_PORT": 22}
    parts = {each.upper(): each for each in ("read", "put", "rewrite")}
    files = [FOLDER / "ssh.sh", FOLDER / "cluster" / "rotate_encryption.sh"]
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ARGUS_SSH_KEY": "key",
        "ARGUS_KNOWN_HOSTS": "\n".join(f"{host} {host_key(host)}" for host in (*HOSTS, "endpoint")),
        "STATE": str(folder),
        "DEAD": dead,
        "FAILS": fails,
        "MUTE": mute,
    }
    command = Script(files=files, values=values | parts).render()
    done = subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, (folder / "said").read_text().splitlines(), done.stderr


def each(keys: str) -> list[str]:
    return [f"{host} {keys}" for host in HOSTS]


def names(folder: Path) -> dict[str, list[str]]:
    return {host: [line.split()[0] for line in (folder / host).read_text().splitlines()] for host in HOSTS}


def test_all_read_before_one_writes_and_all_is_rewritten_before_the_old_key_goes(tmp_path: Path) -> None:
    code, changes, _ = rotate(tmp_path, dict.fromkeys(HOSTS, OLD))
    assert code == 0
    assert changes == [*each("key1,2026-11"), *each("2026-11,key1"), "rewrite", *each("2026-11")]
    assert len({(tmp_path / host).read_text() for host in HOSTS}) == 1


def test_a_cluster_that_has_the_key_is_left_alone_also_where_a_machine_is_dead(tmp_path: Path) -> None:
    assert rotate(tmp_path, dict.fromkeys(HOSTS, NEW))[:2] == (0, [])
    assert rotate(tmp_path, dict.fromkeys(HOSTS, NEW), dead="cp2")[:2] == (0, [])


@pytest.mark.parametrize(
    ("mute", "changed"), [("read", []), ("put", []), ("rewrite", [*each("key1,2026-11"), *each("2026-11,key1")])]
)
def test_a_machine_without_an_answer_is_not_one_without_keys(tmp_path: Path, mute: str, changed: list[str]) -> None:
    code, changes, said = rotate(tmp_path, dict.fromkeys(HOSTS, OLD), mute=mute)
    assert code != 0
    assert "is not understood" in said
    assert [change for change in changes if change != "rewrite"] == changed


def test_nothing_is_changed_while_a_control_plane_is_dead(tmp_path: Path) -> None:
    code, changes, said = rotate(tmp_path, dict.fromkeys(HOSTS, OLD), dead="cp2")
    assert (code, changes) == (1, [])
    assert "the key of Secrets stays as it is, because cp2 does not answer" in said


@pytest.mark.parametrize(
    "fails", [f"{host} {keys}" for keys in ("key1,2026-11", "2026-11,key1", "2026-11") for host in HOSTS]
)
def test_one_that_is_cut_short_is_completed_by_the_next_with_the_same_key(tmp_path: Path, fails: str) -> None:
    code, _, _ = rotate(tmp_path, dict.fromkeys(HOSTS, OLD), fails=fails)
    assert code != 0
    kept = {host: (tmp_path / host).read_text().strip() for host in HOSTS}
    # Whoever writes with a key, all can read it.
    writes = {text.splitlines()[0] for text in kept.values()}
    assert all(line in text.splitlines() for line in writes for text in kept.values()) or fails.endswith(" 2026-11")
    made = {line for text in kept.values() for line in text.splitlines() if line.startswith("2026-11")}
    code, changes, _ = rotate(tmp_path, kept)
    assert code == 0
    assert names(tmp_path) == {host: ["2026-11"] for host in HOSTS}
    if made:
        assert {(tmp_path / host).read_text().strip() for host in HOSTS} == made
    if any(text.startswith("2026-11") for text in kept.values()):
        assert not any(change.endswith("key1,2026-11") for change in changes), "an API server writes with the old key"


def test_a_cluster_without_encryption_begins_to_encrypt(tmp_path: Path) -> None:
    code, changes, _ = rotate(tmp_path, dict.fromkeys(HOSTS, ""))
    assert code == 0
    assert changes == [*each("identity,2026-11"), *each("2026-11"), "rewrite"]


def test_no_key_is_in_what_is_said(tmp_path: Path) -> None:
    _, _, said = rotate(tmp_path, dict.fromkeys(HOSTS, OLD))
    assert said.splitlines() == ["Secrets are encrypted with 2026-11"]


# The file on a control plane.


MANIFEST, PATCH = "/etc/kubernetes/manifests/kube-apiserver.yaml", f"{PATCHES}/kube-apiserver1+strategic.yaml"
KUBEADMS = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"
AS_KUBEADM_WRITES_IT = f"""apiVersion: v1
kind: Pod
metadata:
  annotations:
    {KUBEADMS}: 192.0.2.99:6443
  name: kube-apiserver
spec:
  containers: [{{name: kube-apiserver}}]
"""


@pytest.fixture
def host(member: Host) -> Host:
    manifest = member.path(MANIFEST)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(AS_KUBEADM_WRITES_IT)
    # Another process where the manifest is another: kubelet starts static pods anew.
    member.program("pgrep", f'cksum <"$MACHINE{MANIFEST}"')
    member.program("pkill", "")
    return member


def started(host: Host, file: str) -> str:
    """What tells the API server's pod from the one before, in its manifest or in kubeadm's patch."""
    found: str = yaml.safe_load(host.path(file).read_text())["metadata"]["annotations"]["argus/started"]
    return found


def providers(host: Host) -> list[str]:
    (resource,) = yaml.safe_load(host.encryption.read_text())["resources"]
    return [
        each["secretbox"]["keys"][0]["name"] if "secretbox" in each else "identity" for each in resource["providers"]
    ]


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        (f"{OLD}\n{NEW}", ["key1", "2026-11", "identity"]),
        (NEW, ["2026-11", "identity"]),
        (f"identity\n{NEW}", ["identity", "2026-11", "identity"]),
        ("2026 bmV3\n1e5 b2xk\non b2xk", ["2026", "1e5", "on", "identity"]),
    ],
)
def test_a_control_plane_says_the_keys_that_it_was_given(host: Host, keys: str, written: list[str]) -> None:
    host.run("encryption_put.sh", f"{keys}\n")
    assert providers(host) == written
    assert host.encryption.stat().st_mode & 0o777 == 0o600
    assert host.run("encryption_read.sh").stdout == f"{keys}\n"
    pod = started(host, MANIFEST)
    host.run("encryption_put.sh", f"{keys}\n")
    assert started(host, MANIFEST) == pod, "it has these keys"
    assert not host.path("/etc/kubernetes/encryption.yaml.before").exists()


def test_an_api_server_with_other_keys_is_another_pod_and_nobody_ends_it(host: Host) -> None:
    pods = set()
    for keys in (f"{OLD}\n{NEW}\n", f"{NEW}\n{OLD}\n", f"{NEW}\n"):
        host.run("encryption_put.sh", keys)
        pods.add(started(host, MANIFEST))
        assert started(host, PATCH) == started(host, MANIFEST), "kubeadm would write it anew without"
    assert len(pods) == 3
    assert host.ran("pkill") == []
    manifest = host.path(MANIFEST)
    # As kubeadm would write it, so that nothing starts anew for that.
    assert list(yaml.safe_load(manifest.read_text())["metadata"]["annotations"]) == ["argus/started", KUBEADMS]
    assert manifest.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in manifest.parent.iterdir()] == [manifest.name], "the kubelet starts what is there"


def test_keys_that_do_not_arrive_are_not_taken_for_none(host: Host) -> None:
    before = host.encryption.read_text()
    with pytest.raises(subprocess.CalledProcessError) as failed:
        host.run("encryption_put.sh")
    assert "did not arrive on standard input" in failed.value.stderr
    assert host.encryption.read_text() == before


def test_a_control_plane_reads_the_names_that_an_earlier_version_did_not_quote(host: Host) -> None:
    host.encryption.write_text(host.encryption.read_text().replace('"', ""))
    assert "name: key1" in host.encryption.read_text()
    assert host.run("encryption_read.sh").stdout.startswith("key1 ")


def test_keys_with_which_no_api_server_starts_are_taken_back(host: Host) -> None:
    before = host.encryption.read_text()
    host.program("pgrep", "echo 1")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        host.run("encryption_put.sh", f"{NEW}\n")
    assert "the former ones are back" in failed.value.stderr
    assert host.encryption.read_text() == before
