import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.config import ROOT

NUMBER = r"\d+\.\d"
TOOLS = (
    "bash",
    "chmod",
    "cut",
    "dirname",
    "flock",
    "grep",
    "ln",
    "mkdir",
    "mktemp",
    "cat",
    "rm",
    "sha256sum",
    "sleep",
    "tail",
    "touch",
    "tr",
)
"""The programs of Debian's essential packages that the script calls."""

Bootstrap = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The folder of a host's programs: those of every Debian, and an apt-get and dpkg-query that do nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(Path("/usr/bin") / tool)
    program(folder, "apt-get", 'echo "$@" >> "$CALLS"; echo "Setting up $6"')
    program(folder, "dpkg-query", "exit 1")
    return folder


@pytest.fixture
def bootstrap(host: Path, tmp_path: Path) -> Bootstrap:
    """Run lines of shell with the script's functions and this test's settings."""

    def run(lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = f"source {ROOT}/lab/bootstrap.sh\nroot={tmp_path}/root\n{lines}"
        settings = {"PATH": str(host), "HOME": str(tmp_path), "ARGUS_CACHE": f"{tmp_path}/cache"}
        return subprocess.run(
            ["/bin/bash", "-c", script],
            env={**settings, "CALLS": str(tmp_path / "calls"), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    (tmp_path / "root").mkdir()
    return run


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/bash\n{script}\n")
    file.chmod(0o755)


def python_that_is(folder: Path, *, old: bool = False, bare: bool = False) -> None:
    """A python3 that answers the script's checks, and makes virtual environments whose pip prints its arguments."""
    program(
        folder,
        "python3",
        f"""
case "$*" in
*version_info*) exit {int(old)} ;;
*ensurepip*) exit {int(bare)} ;;
*sys.version,*) echo 3.11 of a test ;;
"-m venv "*)
    mkdir -p "$3/bin"
    printf '#!/bin/bash\\necho "Collecting $*"; exit "${{PIP_STATUS:-0}}"\\n' >"$3/bin/pip"
    printf '#!/bin/bash\\necho "$@" >>"$CALLS"\\n' >"$3/bin/python"
    chmod 755 "$3/bin/pip" "$3/bin/python"
    ;;
esac""",
    )


def test_a_step_is_one_line_with_its_time_and_its_output_is_in_its_log(bootstrap: Bootstrap, tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    done = bootstrap(f'loud() {{ echo "$1"; echo aside >&2; }}; step "a thing" {log} "do better" loud said')
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(rf"\[ *{NUMBER} s\] a thing: done in {NUMBER} s\n", done.stderr)
    assert log.read_text() == "said\naside\n"


def test_a_failed_step_stops_at_its_first_error_and_shows_the_end_of_its_log_and_a_remedy(
    bootstrap: Bootstrap, tmp_path: Path
) -> None:
    log = tmp_path / "step.log"
    lines = "for n in {1..99}; do echo line $n; done; (exit 7); echo never"
    done = bootstrap(f'loud() {{ {lines}; }}; step "a thing" {log} "plug it in" loud; echo never')
    assert (done.returncode, done.stdout) == (1, "")
    first, *tail, last = done.stderr.splitlines()
    assert re.search(rf"\] a thing: failed after {NUMBER} s, exit status 7; the end of {log}:$", first)
    assert tail == [f"line {n}" for n in range(80, 100)]
    assert last.endswith("] plug it in; then run it again")
    assert "never" not in log.read_text()


def test_a_long_step_says_what_it_is_at(bootstrap: Bootstrap, tmp_path: Path) -> None:
    # The step ends only after its progress was printed, because the host may be busy.
    lines = r"printf 'Get:1 bash\nUnpacking 10%%\rUnpacking 20%%'; until grep --quiet 'so far' said; do sleep 0.1; done"
    setting = f"cd {tmp_path}; exec 2>said; heartbeat_seconds=1"
    bootstrap(f'{setting}; loud() {{ {lines}; }}; step packages {tmp_path}/log "" loud')
    *beats, end = (tmp_path / "said").read_text().splitlines()
    assert beats
    assert all(re.search(r"\] packages: \d+ s so far, Unpacking 20%$", beat) for beat in beats)
    assert re.search(r"\] packages: done in", end)


def test_time_counts_from_the_beginning_of_make_up(bootstrap: Bootstrap) -> None:
    done = bootstrap('began=$((${EPOCHREALTIME%[.,]*} - 3600)).000000; say "an hour later"')
    assert re.match(r"\[36\d\d\.\d s\] an hour later\n", done.stderr)


def test_a_package_whose_program_is_there_is_not_missing(bootstrap: Bootstrap, host: Path) -> None:
    assert "default-jre-headless" in bootstrap("missing_packages").stdout.split()
    program(host, "java", "exit 0")
    missing = bootstrap("missing_packages").stdout.split()
    assert "default-jre-headless" not in missing
    assert "podman" in missing


def test_nothing_is_installed_where_nothing_is_missing(bootstrap: Bootstrap, host: Path, tmp_path: Path) -> None:
    program(host, "dpkg-query", "echo installed")
    python_that_is(host)
    done = bootstrap("ensure_packages; ensure_python; echo $python")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{host}/python3\n", "")
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("found", ["none", "old"])
def test_python_comes_from_debian_where_there_is_none_that_is_new_enough(
    bootstrap: Bootstrap, host: Path, found: str
) -> None:
    if found == "old":
        python_that_is(host, old=True)
    installed = f'{{ echo "$@"; cp {host}/../new {host}/python3; }}'
    python_that_is(host.parent)
    (host.parent / "python3").rename(host.parent / "new")
    (host / "cp").symlink_to("/usr/bin/cp")
    nowhere = f"new_enough() {{ [[ $1 == python3 ]] && python3 -c version_info; }}; install_packages() {installed}"
    done = bootstrap(f"{nowhere}; ensure_python; echo $python")
    assert done.stderr == ""
    assert done.stdout == f"Python python3 python3-venv\n{host}/python3\n"


def test_a_python_without_ensurepip_gets_debians_package(bootstrap: Bootstrap, host: Path) -> None:
    python_that_is(host, bare=True)
    done = bootstrap("install_packages() { echo $*; }; ensure_python")
    assert done.stdout == "Python's venv python3-venv\n"


LOCKED = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (unattended-upgr)"


def locked(folder: Path, *, times: int) -> None:
    """An apt-get that another process's lock refuses so many times, and a sleep that takes no time."""
    (folder / "sleep").unlink()
    program(
        folder,
        "apt-get",
        f"""
echo "$1" >>"$CALLS"
if (($(grep -c . "$CALLS") <= {times})); then echo "{LOCKED}" >&2; exit 100; fi""",
    )
    program(folder, "sleep", "exit 0")


def test_a_lock_is_waited_for_and_its_holder_named(bootstrap: Bootstrap, host: Path, tmp_path: Path) -> None:
    locked(host, times=2)
    done = bootstrap("apt_get update && apt_get install")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "calls").read_text().split() == ["update", "update", "update", "install"]
    assert done.stdout.count("held by process 4711 (unattended-upgr)") == 2


def test_a_lock_is_not_waited_for_without_end(bootstrap: Bootstrap, host: Path, tmp_path: Path) -> None:
    locked(host, times=9)
    done = bootstrap("lock_seconds=0; apt_get update")
    assert (done.returncode, done.stderr.strip()) == (100, LOCKED)
    assert (tmp_path / "calls").read_text().split() == ["update"]


def test_another_error_of_apt_ends_at_once(bootstrap: Bootstrap, host: Path, tmp_path: Path) -> None:
    program(host, "apt-get", 'echo "$1" >>"$CALLS"; echo "E: Unable to locate package made-up" >&2; exit 100')
    done = bootstrap("apt_get install; echo never")
    assert (done.returncode, done.stdout) == (100, "")
    assert "made-up" in done.stderr
    assert (tmp_path / "calls").read_text().split() == ["install"]


def test_a_debian_that_is_too_old_is_said_with_its_remedy(bootstrap: Bootstrap) -> None:
    done = bootstrap("new_enough() { false; }; install_packages() { :; }; ensure_python")
    assert done.returncode == 1
    assert "too old: put a Python 3.11 or newer first on PATH, or take Debian 12" in done.stderr


def test_another_system_than_debian_is_refused(bootstrap: Bootstrap, host: Path) -> None:
    (host / "apt-get").unlink()
    done = bootstrap("ensure_packages; echo never")
    assert (done.returncode, done.stdout) == (1, "")
    assert "this host is not a Debian" in done.stderr


def requirements(tmp_path: Path, text: str) -> None:
    for name in ("requirements-build.lock", "requirements-dev.lock"):
        (tmp_path / "root" / name).write_text(text)


def test_the_virtual_environment_is_made_once_for_its_requirements(
    bootstrap: Bootstrap, host: Path, tmp_path: Path
) -> None:
    python_that_is(host)
    requirements(tmp_path, "rich\n")
    first = bootstrap("ensure_python; ensure_venv")
    assert re.fullmatch(rf"\[ *{NUMBER} s\] Python packages: done in {NUMBER} s\n", first.stderr)
    assert "Collecting install" in (tmp_path / "cache/logs/bootstrap-venv.log").read_text()
    link = tmp_path / "root" / ".venv"
    made = link.resolve()
    assert bootstrap("ensure_python; ensure_venv").stderr == ""
    assert link.resolve() == made
    requirements(tmp_path, "rich\nmore\n")
    bootstrap("ensure_python; ensure_venv")
    assert link.resolve() != made


def test_a_half_made_virtual_environment_is_made_from_nothing(bootstrap: Bootstrap, host: Path, tmp_path: Path) -> None:
    python_that_is(host)
    requirements(tmp_path, "rich\n")
    failed = bootstrap("ensure_python; ensure_venv", PIP_STATUS="1")
    assert failed.returncode == 1
    assert "Collecting install" in failed.stderr
    assert "see to pip's configuration (pip config list) and to the network; then run it again" in failed.stderr
    assert not (tmp_path / "root" / ".venv").exists()
    good = bootstrap("ensure_python; ensure_venv")
    assert good.returncode == 0
    assert (tmp_path / "root" / ".venv" / ".complete").exists()


def test_go_is_asked_for_last_and_in_the_virtual_environment(bootstrap: Bootstrap, host: Path, tmp_path: Path) -> None:
    program(host, "dpkg-query", "echo installed")
    python_that_is(host)
    requirements(tmp_path, "rich\n")
    done = bootstrap("packages=(podman); main")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "calls").read_text() == "-m lab go\n"
