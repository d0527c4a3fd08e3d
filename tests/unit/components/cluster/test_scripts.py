"""Scripts as sent to a machine: values arrive unchanged, and the code is what the linter checks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import components.cluster
from components.cluster.container_runtime import containerd_config
from components.cluster.endpoint import haproxy_config, keepalived_config
from components.cluster.machine import FUNCTIONS, script
from components.cluster.network import cni_config
from components.remote import AnswerError, Script, answer
from tests.unit.components.answers import printed
from tests.unit.components.cluster.conftest import cluster_args, cluster_section, endpoint_args

FOLDER = Path(components.cluster.__file__).parent
NASTY = "a 'quoted' \"word\"; $(touch /tmp/owned) `id` \\ & | > \n second line \t*"


def run(rendered: str, stdin: str = "") -> str:
    return subprocess.run(
        ["/bin/sh", "-c", rendered], input=stdin, capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_values_arrive_as_they_were_given(tmp_path: Path) -> None:
    file = tmp_path / "print.sh"
    file.write_text('#!/usr/bin/env bash\nprintf %s "$VALUE"\n')
    assert run(Script(files=[file], values={"VALUE": NASTY}).render()) == NASTY


def handed_on(shell: str, folder: Path) -> str:
    """What a script prints of its value, its argument and its standard input, started by this login shell."""
    file = folder / "print.sh"
    file.write_text('#!/usr/bin/env bash\nprintf "%s|%s|" "$VALUE" "${1:-}"\ncat\n' + "# filler\n" * 5000)
    rendered = Script(files=[file], values={"VALUE": NASTY}, on_machine=True).render()
    done = subprocess.run(
        [shell, "-c", f"{rendered} argument"],
        input=NASTY,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return answer(done.stdout)


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_login_shell_hands_a_script_on_as_it_is(shell: str, tmp_path: Path) -> None:
    """Other shells: tests/integration/providers/test_login_shells.py."""
    assert handed_on(shell, tmp_path) == f"{NASTY}|argument|{NASTY}"


def test_no_shell_has_a_character_of_a_script_to_change() -> None:
    """Words of letters and digits, and one between single quotes without what a shell changes there; none over 1024."""
    rendered = script("node.sh", name=NASTY).render()
    before, quoted, after = rendered.split("'")
    assert before == "bash -c "
    assert not set(quoted) & set("\n\\!`")
    assert re.fullmatch(r" argus [A-Za-z0-9+/= ]+ \.", after)
    assert max(map(len, (quoted, *after.split()))) < 1024


def test_a_script_runs_without_the_files_and_variables_that_change_bash(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("echo noise; grep() { echo wrong; }; shopt -s extglob nullglob; cd /\n")
    file = tmp_path / "print.sh"
    file.write_text(
        "#!/usr/bin/env bash\ndate() { echo right; }\ndate; type -t grep; shopt -q nullglob || echo plain\n"
    )
    done = subprocess.run(
        # Bash reads ~/.bashrc where it seems to have been started by sshd, and BASH_ENV always.
        ["bash", "-c", Script(files=[file], values={}, on_machine=True).render()],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "BASH_ENV": str(tmp_path / ".bashrc"),
            "SSH_CLIENT": "192.0.2.1 1 22",
            "BASH_FUNC_date%%": "() { echo wrong; }",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert "noise" in done.stdout
    assert answer(done.stdout) == "right\nfile\nplain"


@pytest.mark.parametrize("body", ["exit 3", "false | true", "echo said; false", "(exit 3)", 'echo "$UNSET"'])
def test_a_script_that_fails_has_no_answer(tmp_path: Path, body: str) -> None:
    file = tmp_path / "fail.sh"
    file.write_text(f"#!/usr/bin/env bash\n{body}\necho reached\n")
    rendered = Script(files=[file], values={}, on_machine=True).render()
    done = subprocess.run(["/bin/sh", "-c", rendered], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    with pytest.raises(AnswerError):
        answer(done.stdout)


def test_a_script_that_was_cut_off_does_not_run(tmp_path: Path) -> None:
    file = tmp_path / "touch.sh"
    file.write_text(f"#!/usr/bin/env bash\ntouch {tmp_path}/ran\n{'# filler' * 1000}\n")
    rendered = Script(files=[file], values={}, on_machine=True).render()
    for cut in (rendered[:-2], rendered[: len(rendered) // 2], f"{rendered[:-7]} ."):
        done = subprocess.run(["/bin/sh", "-c", cut], capture_output=True, check=False, timeout=20)
        assert done.returncode != 0
    assert not (tmp_path / "ran").exists()


ANSWERS = ["", "yes", "two\nlines", "ä\t\x1b[0m", "argus-answer:4:bm8=:", "x" * 100_000]
NOISE = [
    "",
    "Welcome\n",
    "no end of line",
    "\r\n\x00\n",
    "argus-answer:\n",
    "argus-answer:3:bm8=:\n",
    "\nargus-answer:4:\n",
]


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("given", ANSWERS, ids=lambda given: given[:10])
def test_an_answer_is_told_from_all_else(given: str, noise: str) -> None:
    assert answer(f"{noise}{printed(given)}{noise}") == given


@pytest.mark.parametrize(
    "said",
    [
        "",
        "yes",
        f"{printed('yes')}{printed('no')}",
        f"{printed('yes')}{printed('yes')}",
        printed("yes")[:-3],
        printed("yes").replace("ll", "l\nnoise\nl").replace("eW", "e\nW"),
        printed("yes").replace("eW", "eAW"),
        f"> {printed('yes').lstrip()}",
    ],
)
def test_what_is_no_answer_is_refused(said: str) -> None:
    with pytest.raises(AnswerError):
        answer(said)


def test_lists_and_flags_have_one_form(tmp_path: Path) -> None:
    file = tmp_path / "print.sh"
    file.write_text('#!/usr/bin/env bash\nprintf "%s|%s|%s" "$LIST" "$FLAG" "$NUMBER"\n')
    assert (
        run(Script(files=[file], values={"LIST": ["a b", "c"], "FLAG": True, "NUMBER": 3}).render()) == "a b\nc|true|3"
    )


def test_a_script_stops_at_its_first_failure(tmp_path: Path) -> None:
    file = tmp_path / "fail.sh"
    file.write_text("#!/usr/bin/env bash\nfalse | true\necho reached\n")
    rendered = Script(files=[file], values={}).render()
    assert subprocess.run(["/bin/sh", "-c", rendered], capture_output=True, check=False).stdout == b""


def test_another_user_becomes_root() -> None:
    given = script("kubeconfig.sh", quarter="2026-4")
    assert given.render("root").startswith("bash -c ")
    assert given.render("admin") == f"sudo -n {given.render('root')}"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_no_script_takes_all_that_a_machine_prints_for_its_answer(path: Path) -> None:
    """`on` of ssh.sh does; `told` and `ask` do not."""
    assert not re.search(r"(^|[;({]|\bthen|\belse|\bdo|&&|\|\|)\s*on \S", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.sh")), ids=lambda path: path.name)
def test_shell_is_clean(path: Path) -> None:
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run([shellcheck, "--shell=bash", str(path)], check=True)


def test_a_machine_restores_what_was_there(tmp_path: Path) -> None:
    body = f"""
    STATE={tmp_path}/state
    cd {tmp_path}
    echo mine >{tmp_path}/kept
    put {tmp_path}/kept 0644 <<<theirs
    put {tmp_path}/new 0600 <<<theirs
    put {tmp_path}/kept 0644 <<<again
    cat {tmp_path}/kept
    restore {tmp_path}/kept {tmp_path}/new {tmp_path}/never-written
    cat {tmp_path}/kept
    ls
    """
    file = tmp_path / "roundtrip.sh"
    file.write_text(body)
    out = run(Script(files=[*(FOLDER / each for each in FUNCTIONS), file], values={}).render())
    assert out.splitlines() == ["again", "mine", "kept", "roundtrip.sh", "state"]


def test_the_endpoint_knows_every_control_plane() -> None:
    args = endpoint_args(3)
    for machine in args.machines.control_planes:
        assert f"server {machine.name} {machine.address}:6443 check" in haproxy_config(args)
    own_first = haproxy_config(args).rpartition("backend own-first")[2]
    assert [(line.split()[1], line.split()[-1]) for line in own_first.splitlines() if " server " in line] == [
        ("cp1", "shutdown-sessions"),
        ("cp2", "backup"),
        ("cp3", "backup"),
    ]
    peers = keepalived_config(args).split("unicast_peer {")[1].split("}")[0].split()
    assert peers == ["192.0.2.12", "192.0.2.13", "@LEAVING@"]


@pytest.mark.parametrize("privileged", [True, False])
def test_containerd_asks_for_no_more_than_the_machine_may(privileged: bool) -> None:
    as_container = {"cgroupDriver": "cgroupfs", "featureGates": {"KubeletInUserNamespace": True}}
    kubelet = {} if privileged else as_container
    config = containerd_config(cluster_args(cluster=cluster_section(kubelet=kubelet)))
    assert f"SystemdCgroup = {str(privileged).lower()}" in config
    assert f"restrict_oom_score_adj = {str(not privileged).lower()}" in config
    assert 'sandbox_image = "registry.k8s.io/pause:' in config


def test_pods_are_not_masqueraded_among_themselves() -> None:
    assert '"ipMasq": false' in cni_config()
