"""SSH to the machines with the lab's own key."""

from pathlib import Path

from lab.config import SSH_KEY, Machine
from lab.shell import run


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
    """Whether the command succeeded on the machine, and its output; ssh never prompts. `timeout` is in seconds."""
    connect = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}"]
    line = command(machine, *arguments)
    result = run([line[0], *connect, *line[1:]], timeout=timeout + 20, check=False)
    return result.returncode == 0, (result.stdout + result.stderr).strip()
