import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.config import SSH_KEY, Machine
from lab.machines import fleet, ssh

CP1 = Machine(name="cp1", address=IPv4Address("10.77.0.11"))


def test_a_shell_uses_the_labs_key_and_no_other() -> None:
    command = ssh.command(CP1, "uname", "-a")
    assert command[command.index("-i") + 1] == str(SSH_KEY)
    assert "IdentitiesOnly=yes" in command
    assert command[-3:] == ["root@10.77.0.11", "uname", "-a"]


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ssh and its machine: the folder of its programs, where a file `says` is what the shell prints."""
    (tmp_path / "ssh").write_text(f"""#!/bin/bash
cat {tmp_path}/says
if [[ -e {tmp_path}/mute ]]; then exit; fi
bash -c "${{@: -1}}"
""")
    (tmp_path / "ssh").chmod(0o755)
    (tmp_path / "says").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("says", ["", "Welcome to cp1\n", "no new line", "argus-begins\n"])
@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (("echo", "one; echo two >&2"), (True, "one\ntwo")),
        (("printf", "one"), (True, "one")),
        (("true",), (True, "")),
        (("echo degraded; exit 1",), (False, "degraded")),
        (("echo lost >&2; exit 255",), (False, "lost")),
    ],
)
def test_what_the_login_shell_prints_is_no_answer(
    login: Path, says: str, asked: tuple[str, ...], answer: tuple[bool, str]
) -> None:
    (login / "says").write_text(says)
    succeeded, printed = ssh.answer(CP1, *asked)
    assert (succeeded, printed) == answer


@pytest.mark.parametrize("says", ["", "running\n"])
def test_an_answer_that_is_not_understood_is_an_error_with_the_machines_name(
    login: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    (login / "mute").touch()
    (login / "says").write_text(says)
    succeeded, printed = ssh.answer(CP1, "systemctl is-system-running")
    assert not succeeded
    assert printed.startswith("cp1's answer is not understood: ")
    monkeypatch.setattr(fleet, "running", lambda name: True)
    assert "cp1's answer is not understood: " in (fleet._not_ready(CP1) or "")
