"""Debian packages: a lock is waited for by name, and nothing that somebody else installed is removed."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.cluster.packages import Packages
from components.config.sections import Encryption
from components.remote import Ssh
from tests.unit.components.answers import unpacked
from tests.unit.components.cluster.conftest import Host, cluster_args, machine, machines, worker
from tests.unit.components.conftest import Recorder, ssh_options

HELD = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)"
LOCKED = [
    HELD,
    "E: Unable to lock directory /var/lib/apt/lists/",
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
    "dpkg: error: dpkg frontend lock was locked by another process with pid 3312",
]


ENCRYPTION = Encryption.model_validate({"key": "key1"})
SEALED = Encryption.model_validate({"key": "key1", "tang": [{"url": "http://tang", "thumbprint": "T" * 43}]})


@pytest.fixture
def bare(hosts: dict[str, Host]) -> Host:
    """A machine without any of the wanted packages, whose apt-get succeeds."""
    host = hosts["worker1"]
    host.program("dpkg-query", "exit 1")
    host.program("sleep", "")
    host.program("curl", "exit 22")
    host.program("apt-get", "")
    return host


def install(host: Host, proxy: Sequence[str] = (), packages: Sequence[str] = ("runc",)) -> str:
    """Run the step until its downloads, which fail here. Returns its messages."""
    with pytest.raises(subprocess.CalledProcessError) as ended:
        host.run(
            "packages.sh",
            packages=packages,
            server="https://x",
            version="1.36.1",
            binaries="http://127.0.0.1:9",
            checksums=(),
            proxy=proxy,
        )
    return str(ended.value.stderr)


@pytest.mark.parametrize("said", LOCKED)
@pytest.mark.parametrize("command", ["update", "install"])
def test_a_lock_is_waited_for_and_its_holder_named(bare: Host, command: str, said: str) -> None:
    bare.program(
        "apt-get",
        f"""case $2 in {command}) echo x >>"$MACHINE/tries"
        [[ $(wc -l <"$MACHINE/tries") -gt 3 ]] || {{ echo "{said}" >&2; exit 100; }} ;; esac""",
    )
    messages = install(bare)
    waited = [line for line in messages.splitlines() if line.startswith("waiting for another process's packages: ")]
    assert len(waited) == 1, "said once"
    assert waited[0].endswith(said.removeprefix("E: "))
    asked = [call.split()[1] for call in bare.ran("apt-get")]
    assert asked.count(command) == 4
    assert asked[-1] == "install"


def test_a_lock_is_not_waited_for_without_end(bare: Host) -> None:
    bare.program("apt-get", f'echo "{HELD}" >&2; exit 100')
    moved = bare.moved("functions/apt.sh")
    assert "SECONDS + 900" in moved.read_text()
    original = Host.moved

    def sooner(host: Host, file: str) -> Path:
        path = original(host, file)
        path.write_text(path.read_text().replace("SECONDS + 900", "SECONDS + 1"))
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Host, "moved", sooner)
        messages = install(bare)
    assert "does not end within 15 minutes: Could not get lock" in messages
    assert "held by process 4711 (unattended-upgr)" in messages


def test_another_error_of_apt_is_shown_at_once(bare: Host) -> None:
    bare.program("apt-get", "echo 'E: Unable to locate package runc' >&2; exit 100")
    messages = install(bare)
    assert "E: Unable to locate package runc" in messages
    assert "error: apt-get update failed: see above" in messages
    assert len(bare.ran("apt-get")) == 1


def test_nothing_is_removed_for_what_is_installed(bare: Host) -> None:
    install(bare)
    assert "--no-remove" in next(call for call in bare.ran("apt-get") if " install " in call)


def test_a_configuration_that_lies_there_is_no_question(bare: Host) -> None:
    """dpkg asks even without a terminal, and ends where nobody answers: seen with a haproxy.cfg of somebody's."""
    install(bare)
    call = next(call for call in bare.ran("apt-get") if " install " in call)
    assert "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold" in call


def test_needrestart_restarts_nothing_of_the_machine_s_owner(bare: Host) -> None:
    bare.program("apt-get", '[[ $NEEDRESTART_SUSPEND ]] || { echo "E: needrestart" >&2; exit 100; }')
    assert "needrestart" not in install(bare)


INSTALLED = """\
ii  bash, 
hi  containerd, 
iU  haproxy, 
rc  keepalived, 
ii  docker-ce, 
ii  containerd.io, containerd, runc
ii  systemd, systemd-sysusers (= 257.13-1~deb13u1), systemd-tmpfiles (= 257.13-1~deb13u1)
"""  # noqa: W291 as dpkg-query prints it
"""A package that is held, one that is not configured, one that is removed, and one that provides others."""


def test_what_is_there_is_not_installed_and_so_not_removed_later(bare: Host) -> None:
    bare.program("dpkg-query", f"cat <<'SAID'\n{INSTALLED}SAID")
    install(bare, packages=("containerd", "runc", "haproxy", "keepalived", "systemd-tmpfiles"))
    wanted = next(call for call in bare.ran("apt-get") if " install " in call)
    assert sorted(wanted.split()[-2:]) == ["haproxy", "keepalived"]
    assert sorted(bare.path("/var/lib/argus/packages").read_text().split()) == ["haproxy", "keepalived"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, set()),
        ({"volumes_gib": {"kafka": 1}}, set()),
        ({"volumes_gib": {"kafka": 1}, "bounded_volumes": True}, {"e2fsprogs"}),
        ({"bounded_volumes": True, "volume_encryption": ENCRYPTION}, set()),
        (
            {"volumes_gib": {"kafka": 1}, "bounded_volumes": True, "volume_encryption": ENCRYPTION},
            {"e2fsprogs", "cryptsetup-bin"},
        ),
        (
            {"volumes_gib": {"kafka": 1}, "bounded_volumes": True, "volume_encryption": SEALED},
            {"e2fsprogs", "cryptsetup-bin", "clevis"},
        ),
    ],
)
def test_volumes_with_file_systems_have_their_tools_installed(
    pulumi_mocks: Recorder, given: dict[str, Any], wanted: set[str]
) -> None:
    """Debian 13 has mkfs.ext4 only where its installer made an ext4, and none has cryptsetup."""
    args = cluster_args(
        machines=machines([machine("cp1", "192.0.2.11")], [worker("worker1", "192.0.2.21")]),
        ssh=Ssh(options=ssh_options(), host_keys={each: ["ssh-ed25519 A"] for each in ("192.0.2.11", "192.0.2.21")}),
        **given,
    )

    def install_all() -> None:
        for each in args.all_machines:
            Packages(each.name, args.on(each))

    pulumi_mocks.run(install_all)
    control_plane, node = (
        unpacked(pulumi_mocks.named(f"{each.name}-installed").inputs["create"]) for each in args.all_machines
    )
    tools = ("e2fsprogs", "cryptsetup-bin", "clevis")
    assert {tool for tool in tools if tool in node} == wanted
    assert not any(tool in control_plane for tool in tools), "it runs no pods"


def prepare(host: Host, *, member: bool) -> None:
    """Run the whole step on a machine that has every package and program."""
    host.program("dpkg-query", "echo 'ii  runc, '")
    host.program("modprobe", "")
    host.program("sysctl", "echo 1")
    state = host.path("/var/lib/argus")
    (state / "binaries").mkdir(parents=True, exist_ok=True)
    host.path("/usr/local/bin").mkdir(parents=True, exist_ok=True)
    for name in ("kubeadm", "kubelet", "kubectl"):
        (state / "binaries" / name).write_text("http://x 1.36.1")
        host.path(f"/usr/local/bin/{name}").touch(mode=0o755)
    if member:
        host.path("/etc/kubernetes/kubelet.conf").write_text("kind: Config")
        (state / "member").write_text("worker1")
    release = {"version": "1.36.1", "binaries": "http://x", "checksums": ()}
    host.run("packages.sh", packages=("runc",), server="https://x", proxy=(), **release)


@pytest.mark.parametrize("member", [False, True])
def test_networkd_keeps_the_routes_of_pods_and_forgets_it_later(bare: Host, member: bool) -> None:
    """Of Ubuntu and of cloud images: it removes what it has not set. Tried with that of Debian 13."""
    told = bare.path("/etc/systemd/networkd.conf.d/90-argus.conf")
    prepare(bare, member=member)
    assert "[Network]\nManageForeignRoutes=no\n" in told.read_text()
    prepare(bare, member=member)
    restarts = [call for call in bare.ran("systemctl") if "networkd" in call]
    assert restarts == ([] if member else ["try-restart systemd-networkd.service"])
    bare.program("sysctl", "")
    remove(bare, "")
    assert not told.parent.exists()


def remove(host: Host, simulated: str, verified: str = "") -> tuple[list[str], str]:
    """Undo an installation of three packages. Returns the calls of apt-get that change something, and the messages."""
    state = host.path("/var/lib/argus")
    state.mkdir(parents=True, exist_ok=True)
    (state / "packages").write_text("containerd\nrunc\nsocat\nsocat\n")
    host.program("dpkg", verified)
    host.program("apt-get", simulated)
    done = host.run("packages_delete.sh")
    assert done.stdout == "undone\n"
    return [call for call in host.ran("apt-get") if not call.startswith("-s")], done.stderr


def test_what_others_need_by_now_stays(bare: Host) -> None:
    purged, messages = remove(
        bare,
        """case "$*" in
          "-s purge containerd runc socat")
            printf 'Remv docker.io [1]\\nPurg containerd [1]\\nPurg runc [1]\\nPurg socat [1]\\n' ;;
          "-s purge containerd") printf 'Purg docker.io [1]\\nPurg containerd [1]\\n' ;;
          "-s purge runc") printf 'Remv docker.io [1]\\nPurg containerd [1]\\nPurg runc [1]\\n' ;;
          "-s purge socat") echo 'Purg socat [1]' ;;
        esac""",
    )
    assert purged == ["-qq purge -y --autoremove socat"]
    assert "containerd stays, because docker.io needs it" in messages


def test_all_is_removed_that_nobody_else_needs(bare: Host) -> None:
    purged, _ = remove(bare, "[[ $1 != -s ]] || printf 'Purg %s [1]\n' \"${@:3}\"")
    assert purged == ["-qq purge -y --autoremove containerd runc socat"]
    assert len(bare.ran("apt-get")) == 2, "one question for all"


def test_a_package_that_apt_does_not_know_does_not_make_others_go(bare: Host) -> None:
    purged, messages = remove(
        bare,
        """case "$*" in
          "-s purge containerd runc socat") exit 100 ;;
          "-s purge containerd") printf 'Purg docker.io [1]\\nPurg containerd [1]\\n' ;;
        esac""",
    )
    assert purged == ["-qq purge -y --autoremove runc socat"]
    assert "containerd stays, because docker.io needs it" in messages


ALL_GO = """[[ $1 != -s ]] || printf 'Purg %s [1]\n' "${@:3}"
"""


def test_what_apt_would_keep_stays_and_the_rest_goes(bare: Host) -> None:
    """apt refuses to remove what is held, and what is protected, as e2fsprogs, and with it all the others."""
    bare.program("dpkg-query", "printf '%s\n' 'containerd hold no no ' 'runc install no no yes' 'socat install no no '")
    purged, messages = remove(bare, ALL_GO)
    assert purged == ["-qq purge -y --autoremove socat"]
    assert "containerd, runc stays, because it is held or the system protects it" in messages


def test_nothing_is_purged_where_all_stays(bare: Host) -> None:
    bare.program("dpkg-query", "printf '%s hold no no \n' containerd runc socat")
    purged, _ = remove(bare, ALL_GO)
    assert purged == []


def test_a_configuration_of_the_machine_s_owner_outlives_the_purge(bare: Host) -> None:
    theirs, packaged = bare.path("/etc/containerd/config.toml"), bare.path("/etc/containerd/other.toml")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    packaged.write_text("as packaged\n")
    verified = f"""printf '%s\n' '??5?????? c {theirs}' 'missing   c /etc/gone' '??5??????   /usr/bin/runc'"""
    purge = f"""{ALL_GO}
[[ $1 == -s ]] || rm -r {theirs.parent}"""
    remove(bare, purge, verified)
    assert theirs.read_text() == "theirs\n"
    assert not packaged.exists()
