"""A machine's removal over SSH: a living machine is cleaned up, a dead or foreign one only removed from the state."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import components.cluster
from components import shell
from components.cluster.removal import Removal
from components.remote import Ssh
from components.ssh_keys import fingerprint
from tests.unit.components.answers import SHELL, unpacked
from tests.unit.components.cluster.conftest import cluster_args, machine, machines, worker
from tests.unit.components.conftest import ssh_options
from tests.unit.components.host_keys import host_key

FOLDER = Path(components.cluster.__file__).parent
MACHINE, ENDPOINT = "192.0.2.12", "192.0.2.10"
ED25519 = "ssh-ed25519"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"
# Records the host and the command. Fails unless the key is the user's and readable only by the user.
SSH = (
    f"""#!/usr/bin/env bash
{SHELL}"""
    + """
while [[ $1 == -* ]]; do
  case $1 in -i) key=$2 ;; -E) log=$2 ;; esac
  shift 2
done
[[ $(cat "$key") == "$KEY" && $(stat -c %a "$key") == 600 ]] || exit 9
host=${1#*@}
mkdir -p "$SAID/$host"
printf '%s' "$2" >"$SAID/$host/$(ls "$SAID/$host" | wc -l)"
case " $DEAD " in *" $host "*) echo "connect to $host: No route to host" >"$log" && exit 255 ;; esac
case " $STRANGE " in *" $host "*) echo "Host key verification failed." >"$log" && exit 255 ;; esac
if [[ $host == "$REFUSES" ]]; then echo "This account is currently not available." && exit 1; fi
echo "Welcome to $host"
if [[ $2 == true ]]; then exit; fi
if [[ $host == "$FAILS" ]]; then exit 1; fi
if [[ $host != "$MUTE" ]]; then answer "$UNDONE"; fi
"""
)
KEYSCAN = f"""#!/usr/bin/env bash
echo "${{!#}} {host_key("a stranger", ED25519)}"
"""


@dataclass(frozen=True)
class Outcome:
    """The removal's result and the commands sent to each host."""

    code: int
    text: str
    said: dict[str, list[str]]


class Rehearsal:
    """Runs the `delete` of a machine's Removal with an ssh that only records its calls."""

    def __init__(self, mocks: Any, folder: Path, *, user: str = "root", control_plane: bool = True) -> None:
        self._folder = folder
        ssh = Ssh(
            options=ssh_options(privateKey=KEY, user=user),
            host_keys={
                MACHINE: [host_key("cp2", ED25519)],
                ENDPOINT: [host_key(name, ED25519) for name in ("cp1", "cp2")],
            },
        )
        removed = machine("cp2", MACHINE) if control_plane else worker("cp2", MACHINE)
        args = cluster_args(machines=machines([machine("cp1", "192.0.2.11")]), ssh=ssh).on(removed)
        mocks.run(lambda: Removal("cp2-removal", args).undo.urn)
        self.inputs = mocks.named("cp2-removal-undo").inputs

    def run(
        self,
        *,
        dead: str = "",
        strange: str = "",
        fails: str = "",
        refuses: str = "",
        mute: str = "",
        undone: str = "undone",
        given_up: bool = False,
    ) -> Outcome:
        programs, said = self._folder / "bin", self._folder / "said"
        programs.mkdir()
        said.mkdir()
        for name, text in {"ssh": SSH, "ssh-keyscan": KEYSCAN, "sleep": "#!/bin/sh\n"}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        environment = {
            **os.environ,
            **self.inputs["environment"],
            "PATH": f"{programs}:{os.environ['PATH']}",
            "TMPDIR": str(self._folder),
            "SAID": str(said),
            "KEY": KEY,
            "DEAD": dead,
            "STRANGE": strange,
            "FAILS": fails,
            "REFUSES": refuses,
            "MUTE": mute,
            "UNDONE": undone,
            "ARGUS_CLUSTER_LOST": str(given_up).lower(),
        }
        done = subprocess.run(
            ["/bin/sh", "-c", self.inputs["delete"]], env=environment, capture_output=True, text=True, check=False
        )
        assert not list(self._folder.glob("tmp.*")), "the key is left behind"
        commands = {
            host.name: [(host / str(n)).read_text() for n in range(len(list(host.iterdir())))]
            for host in said.iterdir()
        }
        return Outcome(done.returncode, done.stdout + done.stderr, commands)


def test_a_living_machine_is_undone_then_forgotten(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run()
    assert outcome.code == 0, outcome.text
    _, undo = outcome.said[MACHINE]
    for file in FOLDER.glob("*_delete.sh"):
        assert shell.minimal(file.read_text()) in unpacked(undo), file
    _, forget = outcome.said[ENDPOINT]
    assert f"ADDRESS={MACHINE}" in unpacked(forget)
    assert not forget.endswith("lost")


def test_nobody_is_asked_to_forget_for_a_cluster_that_is_given_up(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(given_up=True)
    assert outcome.code == 0, outcome.text
    assert len(outcome.said[MACHINE]) == 2
    assert ENDPOINT not in outcome.said


def test_a_dead_machine_is_forgotten_as_it_is(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(dead=MACHINE)
    assert outcome.code == 0, outcome.text
    assert f"cp2 ({MACHINE}) does not answer over SSH" in outcome.text
    assert set(outcome.said[MACHINE]) == {"true"}
    assert len(outcome.said[MACHINE]) == 3
    assert len(outcome.said[ENDPOINT]) == 2
    assert outcome.said[ENDPOINT][1].endswith(" . lost"), "its node may be Ready: only its SSH server may be down"


def test_a_machine_with_another_host_key_is_left_alone_and_forgotten_if_it_is_lost(
    pulumi_mocks: Any, tmp_path: Path
) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(strange=MACHINE)
    assert outcome.code == 0, outcome.text
    assert f"the machine at {MACHINE} shows another SSH host key than cp2 did: it is left alone" in outcome.text
    for owner in ("a stranger", "cp2"):
        assert fingerprint(host_key(owner, ED25519)) in outcome.text
    assert outcome.said[MACHINE] == ["true"]
    assert outcome.said[ENDPOINT][1].endswith(" . lost")


def test_nobody_but_a_control_plane_is_told_to_forget(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(strange=ENDPOINT)
    assert outcome.code == 1
    assert f"the machine at {ENDPOINT} shows the SSH host key of no control plane of this stack" in outcome.text
    assert outcome.said[ENDPOINT] == ["true"]


def test_a_machine_that_was_not_undone_stays_in_the_stack(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(fails=MACHINE)
    assert outcome.code == 1
    assert f"cp2 ({MACHINE}) was not left as it was found" in outcome.text
    assert ENDPOINT not in outcome.said


def test_the_last_control_plane_has_nobody_who_could_forget_it(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(dead=ENDPOINT)
    assert outcome.code == 0, outcome.text
    assert set(outcome.said[ENDPOINT]) == {"true"}


@pytest.mark.parametrize(("control_plane", "undone"), [(True, True), (False, False)])
def test_only_a_control_plane_has_an_endpoint_to_undo(
    pulumi_mocks: Any, tmp_path: Path, control_plane: bool, undone: bool
) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path, control_plane=control_plane).run()
    assert ("keepalived" in unpacked(outcome.said[MACHINE][1])) is undone


def test_another_user_undoes_as_root(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path, user="admin").run()
    assert outcome.said[MACHINE][1].startswith("sudo -n bash -c ")
    assert outcome.said[ENDPOINT][1].startswith("sudo -n bash -c ")


def test_the_key_is_secret_and_in_no_command(pulumi_mocks: Any, tmp_path: Path) -> None:
    rehearsal = Rehearsal(pulumi_mocks, tmp_path)
    assert KEY not in rehearsal.inputs["delete"] + unpacked(rehearsal.inputs["delete"])
    assert "environment" in pulumi_mocks.named("cp2-removal-undo").secret_outputs


def test_a_machine_on_which_argus_finds_nothing_is_forgotten_only_if_it_is_lost(
    pulumi_mocks: Any, tmp_path: Path
) -> None:
    """Its state may be on a disk that is not mounted, while its node is Ready."""
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(undone="")
    assert outcome.code == 0, outcome.text
    assert outcome.said[ENDPOINT][1].endswith(" . lost")


def test_a_machine_that_does_not_say_that_it_was_undone_stays_in_the_stack(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(mute=MACHINE)
    assert outcome.code == 1
    assert f"error: the answer of {MACHINE} is not understood" in outcome.text
    assert f"cp2 ({MACHINE}) was not left as it was found" in outcome.text
    assert ENDPOINT not in outcome.said


@pytest.mark.parametrize("refuses", [MACHINE, ENDPOINT])
def test_a_machine_that_runs_no_command_is_not_taken_for_a_dead_one(
    pulumi_mocks: Any, tmp_path: Path, refuses: str
) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(refuses=refuses)
    assert outcome.code == 1
    assert f"{refuses}" in outcome.text
    assert "does not answer" not in outcome.text
    assert set(outcome.said[refuses]) == {"true"}


def test_a_control_plane_that_does_not_say_that_it_forgot_is_an_error(pulumi_mocks: Any, tmp_path: Path) -> None:
    outcome = Rehearsal(pulumi_mocks, tmp_path).run(dead=MACHINE, mute=ENDPOINT)
    assert outcome.code == 1
    assert f"error: the answer of {ENDPOINT} is not understood" in outcome.text
