"""Backups of etcd: what stays on the machine, what leaves it and how, and what is sent again."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.components.cluster.conftest import FOLDER, Host
from tests.unit.components.host_keys import host_key

READER, KEEPER = f"age1{'q' * 58}", f"age1{'z' * 58}"
PATHS = ("/etc/argus", "/var/lib/argus", "/etc/kubernetes", "/usr/local/lib/argus")

# "Encrypts" by naming the recipients before the content, so that a test sees both.
AGE = 'printf "%s\\n" "$*"; cat'
# The other host is a folder of this one.
SSH = 'printf "%s\\n" "$*" >>"$MACHINE/sent"; eval "${*: -1}"'


@pytest.fixture
def host(hosts: dict[str, Host]) -> Host:
    host = hosts["cp1"]
    for path in PATHS:
        host.path(path).mkdir(parents=True, exist_ok=True)
    host.path("/var/lib/argus/member").write_text("cp1\n")
    host.path("/etc/kubernetes/pki/ca.key").write_text("the CA's key")
    host.encryption.write_text("the key of Secrets")
    tool = host.path("/usr/local/lib/argus/etcd-tool")
    tool.write_text('#!/bin/bash\necho snapshot >"$1/etcd.db"\n')
    tool.chmod(0o755)
    for program, body in {"age": AGE, "ssh": SSH}.items():
        host.program(program, body)
    configure(host)
    return host


def configure(host: Host, *, copies: bool = True, keepers: str = KEEPER) -> None:
    values = {
        "DIRECTORY": host.root / "backups",
        "KEEP": 2,
        "COPY_TO": f"backup@vault:{host.root}/vault" if copies else "",
        "RECIPIENTS": READER if copies else "",
        "KEY_RECIPIENTS": keepers if copies else "",
    }
    lines = "".join(f"{key}='{value}'\n" for key, value in values.items())
    host.path("/etc/argus/backup").write_text(lines)


def at(second: int) -> str:
    """A time as the names of files have it."""
    return f"20261130T00000{second}Z"


def back_up(host: Host, second: int, *, ok: bool = True) -> str:
    """Run the timer's program at a certain time; the backup's path is printed."""
    host.program("date", f"echo {at(second)}")
    text = (FOLDER / "backup_etcd.sh").read_text()
    for path in PATHS:
        text = text.replace(path, str(host.path(path)))
    script = host.root / "backup-etcd"
    script.write_text(text)
    done = subprocess.run(
        ["bash", script],
        env={"PATH": f"{host.root}/bin:{os.environ['PATH']}", "MACHINE": str(host.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout.strip()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_file()) if folder.is_dir() else []


def test_a_backup_holds_the_snapshot_and_no_key(host: Host) -> None:
    file = back_up(host, 1)
    listed = subprocess.run(["tar", "--list", "--file", file], capture_output=True, text=True, check=True).stdout
    assert listed.split() == ["./etcd.db"]
    assert Path(file).stat().st_mode & 0o777 == 0o600


def test_without_another_host_nothing_leaves_the_machine(host: Host) -> None:
    configure(host, copies=False)
    back_up(host, 1)
    assert not (host.root / "sent").exists()


def test_what_leaves_is_encrypted_the_snapshot_and_the_keys_each_for_their_reader(host: Host) -> None:
    back_up(host, 1)
    vault = host.root / "vault"
    assert names(vault) == [f"etcd-cp1-{at(1)}.tar.gz.age"]
    assert names(vault / "keys") == [f"keys-cp1-{at(1)}.tar.gz.age"]
    for name, reader in ((f"etcd-cp1-{at(1)}", READER), (f"keys/keys-cp1-{at(1)}", KEEPER)):
        file = vault / f"{name}.tar.gz.age"
        assert file.read_bytes().startswith(f"--encrypt --recipient {reader}\n".encode())
        assert file.stat().st_mode & 0o777 == 0o600


def test_the_newest_are_kept_here_and_there(host: Host) -> None:
    for second in (1, 2, 3):
        file = Path(back_up(host, second))
        # Files are told apart by their times, which may be equal here.
        for path in (file, *host.root.glob(f"vault/*cp1-{at(second)}*")):
            os.utime(path, (second, second))
    back_up(host, 9)
    assert names(host.root / "backups") == [f"etcd-cp1-{at(3)}.tar.gz", f"etcd-cp1-{at(9)}.tar.gz"]
    assert names(host.root / "vault") == [f"etcd-cp1-{at(3)}.tar.gz.age", f"etcd-cp1-{at(9)}.tar.gz.age"]


def test_the_keys_are_sent_when_they_or_their_readers_change(host: Host) -> None:
    back_up(host, 1)
    back_up(host, 2)
    assert names(host.root / "vault/keys") == [f"keys-cp1-{at(1)}.tar.gz.age"]
    host.encryption.write_text("another key of Secrets")
    back_up(host, 3)
    configure(host, keepers=READER)
    back_up(host, 4)
    assert names(host.root / "vault/keys") == [f"keys-cp1-{at(3)}.tar.gz.age", f"keys-cp1-{at(4)}.tar.gz.age"]


def test_nothing_is_sent_that_is_not_encrypted_to_its_end(host: Host) -> None:
    host.program("age", "head -c 10; exit 1")
    back_up(host, 1, ok=False)
    assert names(host.root / "vault") == []
    assert names(host.root / "backups") == [f"etcd-cp1-{at(1)}.tar.gz"]


def test_a_backup_that_is_cut_short_leaves_nothing(host: Host) -> None:
    host.program("tar", 'while [[ $1 != --file ]]; do shift; done; echo half >"$2"; exit 1')
    back_up(host, 1, ok=False)
    assert list((host.root / "backups").iterdir()) == []


def test_what_was_left_when_the_machine_lost_its_power_goes_with_a_later_backup(host: Host) -> None:
    folder = host.root / "backups"
    now = time.time()
    for name, age_s in ((".work.old", 3 * 3600), (f".etcd-cp1-{at(0)}.tar.gz", 3 * 3600), (".work.running", 0)):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (now - age_s, now - age_s))
    back_up(host, 1)
    assert sorted(each.name for each in folder.iterdir()) == [".work.running", f"etcd-cp1-{at(1)}.tar.gz"]


def test_a_copy_that_the_network_cuts_short_is_none_and_the_older_whole_one_stays(host: Host) -> None:
    back_up(host, 1)
    host.encryption.write_text("another key of Secrets")
    host.program("ssh", 'head --bytes 10 | eval "${*: -1}"')
    back_up(host, 2, ok=False)
    vault = host.root / "vault"
    assert names(vault) == [f".etcd-cp1-{at(2)}.tar.gz.age", f"etcd-cp1-{at(1)}.tar.gz.age"]
    host.program("ssh", f"""case "$*" in */keys*) head --bytes 10 ;; *) cat ;; esac | {{ {SSH}; }}""")
    back_up(host, 3, ok=False)
    assert names(vault / "keys") == [f".keys-cp1-{at(3)}.tar.gz.age", f"keys-cp1-{at(1)}.tar.gz.age"]
    host.program("ssh", SSH)
    back_up(host, 4)
    assert f"keys-cp1-{at(4)}.tar.gz.age" in names(vault / "keys")


def test_what_was_cut_short_goes_with_a_later_copy_and_nothing_else_does(host: Host) -> None:
    vault = host.root / "vault"
    for folder, kind in ((vault, "etcd"), (vault / "keys", "keys")):
        folder.mkdir(parents=True)
        for name in (f".{kind}-cp1-{at(1)}.tar.gz.age", f".{kind}-cp2-{at(1)}.tar.gz.age", f".{kind}-cp1", ".profile"):
            (folder / name).write_text("half")
            os.utime(folder / name, (0, 0))
        (folder / f".{kind}-cp1-{at(2)}.tar.gz.age").write_text("being written")
    back_up(host, 3)
    for folder, kind in ((vault, "etcd"), (vault / "keys", "keys")):
        assert names(folder) == sorted(
            [
                ".profile",
                f".{kind}-cp1",
                f".{kind}-cp1-{at(2)}.tar.gz.age",
                f".{kind}-cp2-{at(1)}.tar.gz.age",
                f"{kind}-cp1-{at(3)}.tar.gz.age",
            ]
        )


def test_the_files_of_a_member_whose_name_begins_alike_are_not_pruned(host: Host) -> None:
    vault = host.root / "vault"
    vault.mkdir()
    others = [f"etcd-cp1-2-{at(second)}.tar.gz.age" for second in (1, 2, 3)]
    for name in others:
        (vault / name).write_text("another member's")
    back_up(host, 4)
    assert names(vault) == [*others, f"etcd-cp1-{at(4)}.tar.gz.age"]


def test_the_undo_leaves_no_backup_not_even_half_of_one(host: Host) -> None:
    install(host, "", copies=False)
    folder = host.root / "backups"
    (folder / ".work.cut").mkdir(parents=True)
    for name in (f"etcd-cp1-{at(1)}.tar.gz", f".etcd-cp1-{at(2)}.tar.gz"):
        (folder / name).write_text("")
    host.run("backup_delete.sh")
    assert not folder.exists()


def install(host: Host, key: str, *, copies: bool) -> None:
    """Install the timer and its settings."""
    for program in ("systemd-analyze", "systemctl"):
        host.program(program, "")
    host.run(
        "backup.sh",
        key,
        schedule="hourly",
        directory=str(host.root / "backups"),
        keep=2,
        tool=host.path("/usr/local/lib/argus/etcd-tool").read_text(),
        backup="#!/bin/bash",
        restore="#!/bin/bash",
        copy_to=f"backup@vault:{host.root}/vault" if copies else "",
        copy_host_key=host_key("vault") if copies else "",
        recipients=[READER] if copies else [],
        key_recipients=[KEEPER] if copies else [],
    )


def test_a_key_for_copies_that_does_not_arrive_is_said(host: Host) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        install(host, "", copies=True)
    assert "did not arrive on standard input" in failed.value.stderr


@pytest.mark.parametrize("copies", [True, False])
def test_only_the_host_of_the_given_key_gets_copies(host: Host, copies: bool) -> None:
    host.path("/etc/argus/backup-hosts").write_text("a host of an earlier stack")
    install(host, "the key" if copies else "", copies=copies)
    known = host.path("/etc/argus/backup-hosts")
    assert known.exists() == copies
    if copies:
        assert known.read_text() == f"vault {host_key('vault')}\n"
        assert host.path("/etc/argus/backup-key").stat().st_mode & 0o777 == 0o600
        back_up(host, 1)
        assert "-o StrictHostKeyChecking=yes" in (host.root / "sent").read_text()
