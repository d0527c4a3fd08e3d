"""Debian packages: a lock is waited for by name, and nothing that somebody else installed is removed."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.components.cluster.conftest import Host

HELD = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)"
LOCKED = [
    HELD,
    "E: Unable to lock directory /var/lib/apt/lists/",
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
    "dpkg: error: dpkg frontend lock was locked by another process with pid 3312",
]


@pytest.fixture
def worker(hosts: dict[str, Host]) -> Host:
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
def test_a_lock_is_waited_for_and_its_holder_named(worker: Host, command: str, said: str) -> None:
    worker.program(
        "apt-get",
        f"""case $2 in {command}) echo x >>"$MACHINE/tries"
        [[ $(wc -l <"$MACHINE/tries") -gt 3 ]] || {{ echo "{said}" >&2; exit 100; }} ;; esac""",
    )
    messages = install(worker)
    waited = [line for line in messages.splitlines() if line.startswith("waiting for another process's packages: ")]
    assert len(waited) == 1, "said once"
    assert waited[0].endswith(said.removeprefix("E: "))
    asked = [call.split()[1] for call in worker.ran("apt-get")]
    assert asked.count(command) == 4
    assert asked[-1] == "install"


def test_a_lock_is_not_waited_for_without_end(worker: Host) -> None:
    worker.program("apt-get", f'echo "{HELD}" >&2; exit 100')
    moved = worker.moved("functions/apt.sh")
    assert "SECONDS + 900" in moved.read_text()
    original = Host.moved

    def sooner(host: Host, file: str) -> Path:
        path = original(host, file)
        path.write_text(path.read_text().replace("SECONDS + 900", "SECONDS + 1"))
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Host, "moved", sooner)
        messages = install(worker)
    assert "does not end within 15 minutes: Could not get lock" in messages
    assert "held by process 4711 (unattended-upgr)" in messages


def test_another_error_of_apt_is_shown_at_once(worker: Host) -> None:
    worker.program("apt-get", "echo 'E: Unable to locate package runc' >&2; exit 100")
    messages = install(worker)
    assert "E: Unable to locate package runc" in messages
    assert "error: apt-get update failed: see above" in messages
    assert len(worker.ran("apt-get")) == 1


def test_nothing_is_removed_for_what_is_installed(worker: Host) -> None:
    install(worker)
    assert "--no-remove" in next(call for call in worker.ran("apt-get") if " install " in call)


def remove(host: Host, simulated: str) -> tuple[list[str], str]:
    """Undo an installation of three packages. Returns the calls of apt-get that change something, and the messages."""
    state = host.path("/var/lib/argus")
    state.mkdir(parents=True, exist_ok=True)
    (state / "packages").write_text("containerd\nrunc\nsocat\nsocat\n")
    host.program("apt-get", simulated)
    done = host.run("packages_delete.sh")
    assert done.stdout == "undone\n"
    return [call for call in host.ran("apt-get") if not call.startswith("-s")], done.stderr


def test_what_others_need_by_now_stays(worker: Host) -> None:
    purged, messages = remove(
        worker,
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


def test_all_is_removed_that_nobody_else_needs(worker: Host) -> None:
    purged, _ = remove(worker, "[[ $1 != -s ]] || printf 'Purg %s [1]\n' \"${@:3}\"")
    assert purged == ["-qq purge -y --autoremove containerd runc socat"]
    assert len(worker.ran("apt-get")) == 2, "one question for all"


def test_a_package_that_apt_does_not_know_does_not_make_others_go(worker: Host) -> None:
    purged, messages = remove(
        worker,
        """case "$*" in
          "-s purge containerd runc socat") exit 100 ;;
          "-s purge containerd") printf 'Purg docker.io [1]\\nPurg containerd [1]\\n' ;;
        esac""",
    )
    assert purged == ["-qq purge -y --autoremove runc socat"]
    assert "containerd stays, because docker.io needs it" in messages


def test_only_what_is_missing_is_installed(worker: Host) -> None:
    worker.program("dpkg-query", r"printf 'ii |runc\nrc |socat\nii |runc-dev\n'")
    install(worker, packages=("runc", "socat", "kmod"))
    (installed,) = (call for call in worker.ran("apt-get") if " install " in call)
    assert {"socat", "kmod"} == set(installed.split()) & {"runc", "socat", "kmod"}
