"""Runs Pulumi on the dev stack with the lab's own tools, plugins, state and passphrase."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lab import updates
from lab.config import DEFAULT_STATE, KUBECONFIG, LOGS, ROOT, STACK, STACK_FILE, STATE, TOOLS, LabError
from lab.progress import say
from lab.shell import run

_BACKEND = STATE / "pulumi"
_CONFIG_FILE = STATE / STACK_FILE.name
_PROJECT = STATE / "project"
HOME = STATE / "pulumi-home"
_PASSPHRASE = STATE / "passphrase"
_CONFIGURED = frozenset({"up", "preview", "refresh", "destroy", "config"})
"""Pulumi's commands that read the stack's configuration."""
_UPDATES = frozenset({"up", "refresh", "destroy"})
"""Commands that take minutes and print thousands of lines; their progress is shown instead."""
_UNASKED = frozenset({"--yes", "-y", "--skip-preview", "-f"})
"""Options of `up` that `preview` does not have and that do not change what it shows."""


def environment() -> dict[str, str]:
    """The environment variables for Pulumi."""
    # The language host runs the first `python3` on PATH, which must be this virtual environment's.
    path = os.pathsep.join([str(Path(sys.executable).parent), str(TOOLS), os.environ.get("PATH", os.defpath)])
    return {
        **os.environ,
        "PATH": path,
        # For the images that `pulumi up` builds on this host.
        "CONTAINERS_CONF": os.environ.get("CONTAINERS_CONF", str(ROOT / "lab" / "containers.conf")),
        "PULUMI_HOME": str(HOME),
        "PULUMI_BACKEND_URL": f"file://{_BACKEND}",
        "PULUMI_STACK": STACK,
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_PASSPHRASE),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_SKIP_CONFIRMATIONS": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }


def ensure() -> None:
    """Create the backend, the passphrase and the stack if they are missing, and write the stack's configuration."""
    if shutil.which("pulumi", path=environment()["PATH"]) is None:
        raise LabError("Pulumi is missing: `make up` builds it, or install it from https://www.pulumi.com/docs/install")
    for folder in (_BACKEND, HOME):
        folder.mkdir(parents=True, exist_ok=True)
    if not _PASSPHRASE.exists():
        _PASSPHRASE.touch(mode=0o600)
        _PASSPHRASE.write_text(secrets.token_urlsafe(24) + "\n")
    salt = _salt()
    # The committed file names the SSH key in the default state folder; this lab's folder may be another.
    settings = STACK_FILE.read_text().replace(f"{DEFAULT_STATE}/", f"{STATE}/")
    _CONFIG_FILE.write_text(f"{salt}\n{settings}")


def autoscalers() -> list[str]:
    """The autoscalers that the committed stack uses: keda, vpa."""
    # Imported here, because it takes half a second that other commands can save.
    from components.config import Settings

    try:
        settings = Settings.model_validate(_sections())
    except ValueError:
        # The program itself reports all the errors.
        return []
    uses = {"keda": settings.scales_by_lag, "vpa": settings.scales_vertically}
    return [name for name, used in uses.items() if used]


def standby() -> list[str]:
    """The names of the stack's spare machines."""
    return [each["name"] for each in _sections()["machines"].get("workers", ()) if each.get("standby")]


def _sections() -> dict[str, Any]:
    """The committed configuration of the stack, by key without `argus:`."""
    config = yaml.safe_load(STACK_FILE.read_text())["config"]
    return {key.removeprefix("argus:"): section for key, section in config.items()}


def pulumi(arguments: Sequence[str], *, whole: bool = False) -> int:
    """Run Pulumi on the stack; return its exit status.

    An update shows progress, and its output goes to a log; with `whole`, and for other commands, the output is printed.
    Raises LabError if an update that shows progress fails.
    """
    ensure()
    if arguments and arguments[0] in _UPDATES and not whole:
        _update(arguments)
        return 0
    return subprocess.run(_command(arguments), env=environment(), check=False).returncode


def _update(arguments: Sequence[str]) -> None:
    expected = len(_resources()) or _previewed(arguments)
    name = arguments[0]
    log = LOGS / f"pulumi-{name}.log"
    say(f"pulumi {name}: all that it prints goes to {log}")
    updates.run(_command(arguments), title=f"pulumi {name}", environment=environment(), log=log, expected=expected)


def _previewed(arguments: Sequence[str]) -> int:
    """How many resources an `up` of an empty stack would make, from a preview; 0 if unknown.

    During an update the count grows to the end, because Pulumi sees a resource only after its dependencies are made.
    """
    if arguments[0] != "up" or not _UNASKED.issuperset(arguments[1:]):
        return 0
    log, title = LOGS / "pulumi-preview.log", "counting the resources"
    return updates.count(_command(["preview"]), title=title, environment=environment(), log=log)


def _resources() -> list[dict[str, Any]]:
    """The resources in the stack's state that a plugin made; empty if there is no state yet."""
    name = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["name"]
    file = _BACKEND / ".pulumi" / "stacks" / name / f"{STACK}.json"
    if not file.exists():
        return []
    latest = json.loads(file.read_text())["checkpoint"].get("latest") or {}
    return [each for each in latest.get("resources") or [] if updates.counts(each["type"], each)]


def _command(arguments: Sequence[str]) -> list[str]:
    return ["pulumi", "--non-interactive", "--cwd", str(ROOT), *_configured(arguments)]


def output(name: str) -> str | None:
    """One of the stack's outputs, also a secret one; None if the stack does not have it yet."""
    result = _pulumi(["stack", "output", name, "--show-secrets"], check=False)
    return result.stdout.strip() if result.returncode == 0 else None


def kubeconfig() -> Path:
    """Write the stack's current kubeconfig to a file; return its path."""
    content = output("kubeconfig")
    if not content:
        raise LabError("the stack has no kubeconfig yet; run `make up`")
    KUBECONFIG.touch(mode=0o600)
    KUBECONFIG.write_text(content + "\n")
    return KUBECONFIG


def forget() -> None:
    """Delete the stack's state; for when its machines, and so all its resources, are gone."""
    for folder in (_BACKEND, _PROJECT, HOME / "workspaces"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (KUBECONFIG, _CONFIG_FILE, _PASSPHRASE):
        file.unlink(missing_ok=True)


def _configured(arguments: Sequence[str]) -> list[str]:
    """The arguments, with the lab's own stack file for the commands that read one."""
    if arguments and arguments[0] in _CONFIGURED:
        return [arguments[0], "--config-file", str(_CONFIG_FILE), *arguments[1:]]
    return list(arguments)


def _salt() -> str:
    """The `encryptionsalt` line of the stack's configuration, which belongs to this lab's passphrase.

    Pulumi writes it to the stack file in the project's folder when it makes a stack. Here that file is committed and
    the same for everyone, so the stack is made from a project of the same name in the lab's state folder.
    """
    stack_file = _PROJECT / STACK_FILE.name
    if not stack_file.exists():
        shutil.rmtree(_BACKEND / ".pulumi", ignore_errors=True)
        _PROJECT.mkdir(parents=True, exist_ok=True)
        name = next(line for line in (ROOT / "Pulumi.yaml").read_text().splitlines() if line.startswith("name:"))
        (_PROJECT / "Pulumi.yaml").write_text(f"{name}\nruntime: python\n")
        _pulumi(["stack", "init", STACK], cwd=_PROJECT)
    return next(line for line in stack_file.read_text().splitlines() if line.startswith("encryptionsalt:"))


def _pulumi(arguments: Sequence[str], *, cwd: Path = ROOT, check: bool = True) -> "subprocess.CompletedProcess[str]":
    return run(["pulumi", "--non-interactive", *arguments], env=environment(), cwd=cwd, timeout=300, check=check)
