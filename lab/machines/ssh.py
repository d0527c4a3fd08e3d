"""SSH to the machines with the lab's own key."""

import re
from pathlib import Path
from typing import Final

from lab.config import SSH_KEY, Machine
from lab.shell import run

_FRAMED: Final = "echo; echo argus-begins; ({}); status=$?; echo; echo argus-ends; exit $status"
_ANSWER: Final = re.compile(r".*^argus-begins\n(.*)^argus-ends$", re.MULTILINE | re.DOTALL)
_SSH_FAILED: Final = 255


def ensure_key() -> Path:
    """The lab's private key, made on first use."""
    if not SSH_KEY.exists():
        SSH_KEY.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "argus-lab", "-f", str(SSH_KEY)])
    return SSH_KEY


def command(machine: Machine, *arguments: str) -> list[str]:
    """The ssh command line that runs `arguments` on the machine, or opens a shell.

    Host keys are not checked, because every lab makes new ones.
    """
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    identity = ["-i", str(SSH_KEY), "-o", "IdentitiesOnly=yes"]
    return ["ssh", *options, *identity, f"root@{machine.address}", *arguments]


def answer(machine: Machine, *arguments: str, timeout: int = 10) -> tuple[bool, str]:
    """Whether the command succeeded on the machine, and its output without what the login shell prints.

    ssh never prompts. `timeout` is in seconds.
    """
    connect = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}"]
    line = command(machine, _FRAMED.format(" ".join(arguments)))
    result = run([line[0], *connect, *line[1:]], timeout=timeout + 20, check=False)
    if result.returncode == _SSH_FAILED:
        return False, result.stderr.strip()
    found = _ANSWER.search(result.stdout)
    if found is None:
        return False, f"{machine.name}'s answer is not understood: {result.stdout + result.stderr!r}"
    return result.returncode == 0, (found[1].strip() + "\n" + result.stderr).strip()
