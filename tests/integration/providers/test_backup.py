"""Copies of backups with a real age and a real sshd: who opens them, and which host gets them."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

import components.cluster
from tests.integration.providers.conftest import Hosts
from tests.integration.services import wait_for

SCRIPT = Path(components.cluster.__file__).with_name("backup_etcd.sh")
VAULT = "127.0.0.21"
PATHS = ("/etc/argus", "/var/lib/argus", "/etc/kubernetes", "/usr/local/lib/argus")
SECRET = "the key of Secrets"


@dataclass(frozen=True)
class Identity:
    """A key pair of age."""

    file: Path
    recipient: str

    @classmethod
    def made(cls, file: Path) -> "Identity":
        subprocess.run(["age-keygen", "-o", file], check=True, capture_output=True)
        return cls(file, subprocess.run(["age-keygen", "-y", file], check=True, capture_output=True, text=True).stdout)

    def opens(self, copy: Path) -> str | None:
        """The names in a copy, or None if this key does not open it."""
        opened = subprocess.run(["age", "--decrypt", "-i", self.file, copy], capture_output=True, check=False)
        if opened.returncode:
            return None
        return subprocess.run(["tar", "-tz"], input=opened.stdout, capture_output=True, check=True).stdout.decode()


@dataclass(frozen=True)
class ControlPlane:
    """A folder that stands for a control plane with a backup to make."""

    root: Path
    hosts: Hosts
    reader: Identity
    keeper: Identity

    @property
    def vault(self) -> Path:
        return self.root / "vault"

    def back_up(self, known_key: str, *, search: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
        """Run the timer's program; the other host is known by this key."""
        text = SCRIPT.read_text()
        for path in PATHS:
            text = text.replace(path, f"{self.root}{path}")
        # Real hosts have sshd at its usual port.
        script = self.root / "backup-etcd"
        script.write_text(text.replace("ssh -i", f"ssh -F none -p {self.hosts.port} -i"))
        (self.root / "etc/argus/backup-hosts").write_text(f"[{VAULT}]:{self.hosts.port} {known_key}\n")
        return subprocess.run(
            ["bash", script],
            env={**os.environ, "PATH": search},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture
def control_plane(tmp_path: Path, hosts: Hosts) -> ControlPlane:
    root = tmp_path / "cp1"
    files = {
        "var/lib/argus/member": "cp1\n",
        "etc/kubernetes/pki/ca.key": "the CA's key",
        "etc/kubernetes/encryption.yaml": SECRET,
        "etc/argus/backup-key": hosts.key,
        "usr/local/lib/argus/etcd-tool": '#!/bin/bash\necho snapshot >"$1/etcd.db"\n',
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
        (root / name).chmod(0o700)
    made = ControlPlane(root, hosts, Identity.made(tmp_path / "reader"), Identity.made(tmp_path / "keeper"))
    settings = {
        "DIRECTORY": root / "backups",
        "KEEP": 3,
        "COPY_TO": f"{os.environ.get('USER', 'root')}@{VAULT}:{made.vault}",
        "RECIPIENTS": made.reader.recipient.strip(),
        "KEY_RECIPIENTS": made.keeper.recipient.strip(),
    }
    (root / "etc/argus/backup").write_text("".join(f"{key}='{value}'\n" for key, value in settings.items()))
    return made


def test_each_copy_opens_with_its_reader_s_private_key_and_no_other(control_plane: ControlPlane, hosts: Hosts) -> None:
    with hosts.up("vault", VAULT):
        done = control_plane.back_up(hosts.public_key("vault"))
    assert done.returncode == 0, done.stderr
    (snapshot,) = control_plane.vault.glob("etcd-cp1-*.tar.gz.age")
    (keys,) = control_plane.vault.glob("keys/keys-cp1-*.tar.gz.age")
    assert control_plane.reader.opens(snapshot) == "./etcd.db\n"
    assert control_plane.keeper.opens(snapshot) is None
    opened = control_plane.keeper.opens(keys)
    assert opened is not None and opened.split() == ["pki/", "pki/ca.key", "encryption.yaml"]
    assert control_plane.reader.opens(keys) is None
    assert not any(SECRET.encode() in each.read_bytes() for each in (snapshot, keys))


def test_the_other_host_s_login_shell_may_be_any(control_plane: ControlPlane, login_shell: Path) -> None:
    ssh = control_plane.root / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/bash\nexec {login_shell} -c "${{@: -1}}"\n')
    ssh.chmod(0o755)
    done = control_plane.back_up("", search=f"{ssh.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    (snapshot,) = control_plane.vault.glob("etcd-cp1-*.tar.gz.age")
    assert control_plane.reader.opens(snapshot) == "./etcd.db\n"
    assert list(control_plane.vault.glob("keys/keys-cp1-*.tar.gz.age"))


# An ssh whose machine loses its power when half of the copy has arrived.
CUT = """#!/bin/bash
mkfifo {root}/to-ssh
{ssh} "$@" <{root}/to-ssh &
exec 3>{root}/to-ssh
head --bytes 1M >&3
until [[ $(cat {vault}/.etcd-cp1-* 2>/dev/null | wc -c) == 1048576 ]]; do sleep 0.1; done
kill -KILL $!
exit 255
"""


def test_a_copy_whose_connection_ends_midway_is_not_taken_for_a_whole_one(
    control_plane: ControlPlane, hosts: Hosts
) -> None:
    root, vault = control_plane.root, control_plane.vault
    (root / "usr/local/lib/argus/etcd-tool").write_text('#!/bin/bash\nhead --bytes 2M /dev/urandom >"$1/etcd.db"\n')
    cut = root / "bin/ssh"
    cut.parent.mkdir()
    cut.write_text(CUT.format(root=root, vault=vault, ssh=shutil.which("ssh")))
    cut.chmod(0o755)
    with hosts.up("vault", VAULT):
        done = control_plane.back_up(hosts.public_key("vault"), search=f"{cut.parent}:{os.environ['PATH']}")
        # sshd ends what it runs for a client only after it knows that the client is gone.
        waiting = ["pgrep", "--full", f"mkdir -p {vault}"]
        wait_for(
            "the other host to give up the rest of the copy",
            lambda: subprocess.run(waiting, capture_output=True, check=False).returncode != 0,
            seconds=60,
        )
    assert done.returncode != 0
    assert [each.name[:10] for each in vault.iterdir()] == [".etcd-cp1-"]


def test_a_host_with_another_key_gets_nothing_and_the_backup_here_stays(
    control_plane: ControlPlane, hosts: Hosts
) -> None:
    with hosts.up("stranger", VAULT):
        done = control_plane.back_up(hosts.public_key("vault"))
    assert done.returncode != 0
    assert "Host key verification failed" in done.stderr
    assert not control_plane.vault.exists()
    assert list((control_plane.root / "backups").glob("etcd-cp1-*.tar.gz"))
