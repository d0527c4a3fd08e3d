"""Which machine is asked for an invitation: one that joined before may have come back with an empty disk."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.cluster.node import Node
from components.remote import Ssh
from tests.unit.components.answers import SHELL
from tests.unit.components.cluster.conftest import cluster_args, machine, machines
from tests.unit.components.conftest import ssh_options
from tests.unit.components.host_keys import host_key

MACHINE, ENDPOINT = "192.0.2.12", "192.0.2.10"
CP1, CP2 = machine("cp1", "192.0.2.11"), machine("cp2", MACHINE)
SSH = Ssh(options=ssh_options(), host_keys={MACHINE: [host_key("cp2")], ENDPOINT: [host_key("cp1"), host_key("cp2")]})
# Records the host and the argument. Each machine prints what its login shell says; cp2 answers whether it is a member.
PROGRAM = f"""#!/usr/bin/env bash
{SHELL}
while [[ $1 == -* ]]; do shift 2; done
host=${{1#*@}} argument=${{2##* .}}
echo "$host$argument" >>"$ASKED_HOSTS"
printf %s "$SAYS"
if [[ $host != "$MACHINE" ]]; then answer "TOKEN=new"; elif [[ $MEMBER ]]; then answer "$MEMBER"; fi
"""
Invite = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def invite(pulumi_mocks: Any, tmp_path: Path) -> Invite:
    """Run the command of a control plane's invitation. Returns its output and the hosts that were asked."""
    (tmp_path / "ssh").write_text(PROGRAM)
    (tmp_path / "ssh").chmod(0o755)
    log = tmp_path / "log"

    def run(before: str = "", *, member: str = "yes", says: str = "", ssh: Ssh = SSH) -> tuple[str, list[str]]:
        recorder = type(pulumi_mocks)()
        args = cluster_args(machines=machines([CP1, CP2]), ssh=ssh).on(CP2)
        recorder.outputs["command:local:Command"] = lambda name, inputs: {"stdout": ""}
        recorder.run(lambda: Node("cp2", args, prepared=[]).joined.urn)
        inputs = recorder.named("cp2-invitation").inputs
        log.write_text("")
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "ASKED_HOSTS": str(log)}
        done = subprocess.run(
            ["/bin/sh", "-c", inputs["create"]],
            env={
                **environment,
                **inputs["environment"],
                "MACHINE": MACHINE,
                "MEMBER": member,
                "SAYS": says,
                **({"PULUMI_COMMAND_STDOUT": before} if before else {}),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert not list(tmp_path.glob("tmp.*")), "the key is left behind"
        return done.stdout.rstrip("\n"), log.read_text().splitlines()

    return run


def test_a_new_machine_is_not_asked(invite: Invite) -> None:
    printed, asked = invite()
    assert printed.splitlines()[1:] == ["TOKEN=new"]
    assert asked == [ENDPOINT]


def test_the_same_invitation_is_good_whatever_other_keys_there_are(invite: Invite) -> None:
    before, _ = invite()
    more = [*SSH.host_keys[ENDPOINT], host_key("cp3")]
    printed, asked = invite(
        before, ssh=Ssh(options=ssh_options(privateKey="another"), host_keys={**SSH.host_keys, ENDPOINT: more})
    )
    assert printed == before
    assert asked == []


@pytest.mark.parametrize(("member", "argument"), [("yes", ""), ("no", " rejoin")])
def test_a_machine_with_another_key_is_invited_as_what_it_says_it_is(
    invite: Invite, member: str, argument: str
) -> None:
    before, _ = invite()
    other = replace(SSH, host_keys={**SSH.host_keys, MACHINE: [host_key("another")]})
    printed, asked = invite(before, member=member, ssh=other)
    assert printed.splitlines()[0] != before.splitlines()[0]
    assert asked == [MACHINE, f"{ENDPOINT}{argument}"]
    assert invite(printed, ssh=other) == (printed, [])


def test_another_word_asks_again(invite: Invite) -> None:
    before, _ = invite()
    _, asked = invite(before, ssh=replace(SSH, options=ssh_options(rerun="today")))
    assert asked == [MACHINE, ENDPOINT]


@pytest.mark.parametrize(
    "says", ["Welcome to cp2\n", "no\n", "no new line: no", "\x1b[2Jno\r\n\xff", "argus-answer:4:bm8=:!\n"]
)
def test_what_a_login_shell_prints_is_no_answer(invite: Invite, says: str) -> None:
    before, _ = invite()
    printed, asked = invite(before, says=says, ssh=replace(SSH, options=ssh_options(rerun="today")))
    assert asked == [MACHINE, ENDPOINT], "it is still a member"
    assert printed.splitlines()[1:] == ["TOKEN=new"]


@pytest.mark.parametrize(("member", "says"), [("", "no"), ("", ""), ("maybe", ""), ("no", "\nargus-answer:4:bm8=:\n")])
def test_a_machine_whose_answer_is_not_understood_is_not_taken_for_a_new_one(
    invite: Invite, member: str, says: str
) -> None:
    before, _ = invite()
    with pytest.raises(subprocess.CalledProcessError) as error:
        invite(before, member=member, says=says, ssh=replace(SSH, options=ssh_options(rerun="today")))
    assert f"error: cp2 ({MACHINE}) " in error.value.stderr
    assert "TOKEN" not in error.value.stdout
