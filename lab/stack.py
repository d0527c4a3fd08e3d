"""Pulumi on the dev stack, with everything it needs set: the lab's own tools, plugins, state and passphrase."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.config import KUBECONFIG, ROOT, STACK, STATE, TOOLS, LabError
from lab.shell import run

_BACKEND = STATE / "pulumi"
HOME = STATE / "pulumi-home"
_PASSPHRASE = STATE / "passphrase"


def environment() -> dict[str, str]:
    """The environment that Pulumi runs in."""
    # The language host runs the `python3` that it finds first, so that must be this virtual environment's.
    path = os.pathsep.join([str(Path(sys.executable).parent), str(TOOLS), os.environ.get("PATH", os.defpath)])
    return {
        **os.environ,
        "PATH": path,
        "PULUMI_HOME": str(HOME),
        "PULUMI_BACKEND_URL": f"file://{_BACKEND}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_PASSPHRASE),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }


def ensure() -> None:
    """Make the backend, the passphrase and the stack exist."""
    if shutil.which("pulumi", path=environment()["PATH"]) is None:
        raise LabError(
            "the pulumi program is missing; `make up` builds it, or install it from https://www.pulumi.com/docs/install"
        )
    for folder in (_BACKEND, HOME):
        folder.mkdir(parents=True, exist_ok=True)
    if not _PASSPHRASE.exists():
        _PASSPHRASE.touch(mode=0o600)
        _PASSPHRASE.write_text(secrets.token_urlsafe(24) + "\n")
    _pulumi(["stack", "select", "--create", STACK])


def pulumi(arguments: Sequence[str]) -> int:
    """Run Pulumi on the stack for a person, output and all; its exit status."""
    ensure()
    command = ["pulumi", "--non-interactive", "--cwd", str(ROOT), *arguments]
    return subprocess.run(command, env=environment(), check=False).returncode


def output(name: str) -> str | None:
    """One of the stack's outputs, secret ones too; None when the stack has none of that name yet."""
    result = _pulumi(["stack", "output", name, "--stack", STACK, "--show-secrets"], check=False)
    return result.stdout.strip() if result.returncode == 0 else None


def kubeconfig() -> Path:
    """A file with the cluster's kubeconfig, as the stack has it now."""
    ensure()
    content = output("kubeconfig")
    if not content:
        raise LabError("the stack has no kubeconfig yet; run `make up`")
    KUBECONFIG.touch(mode=0o600)
    KUBECONFIG.write_text(content + "\n")
    return KUBECONFIG


def forget() -> None:
    """Drop the stack's state: for when its machines are gone, and everything that it described with them."""
    for folder in (_BACKEND, HOME / "workspaces"):
        shutil.rmtree(folder, ignore_errors=True)
    KUBECONFIG.unlink(missing_ok=True)


def _pulumi(arguments: Sequence[str], *, check: bool = True) -> "subprocess.CompletedProcess[str]":
    environment_now: Mapping[str, str] = environment()
    return run(["pulumi", "--non-interactive", *arguments], env=environment_now, cwd=ROOT, timeout=300, check=check)
