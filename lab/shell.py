"""Runs other programs; an error names the command and shows its output."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.config import LabError

SHOWN_LINES = 20
"""How much of a failed program's output an error shows; logs have all of it."""


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
    check: bool = True,
    log: Path | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run for up to `timeout` seconds; capture the output or write it to `log`. Raises LabError."""
    try:
        result = _run(command, {**os.environ, **(env or {})}, cwd, timeout, log, stdin=stdin)
    except FileNotFoundError as missing:
        raise LabError(f"{missing.filename} is not installed; run `make bootstrap`") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"no end after {timeout:.0f} s: {shlex.join(command)}") from None
    if check and result.returncode != 0:
        printed = log.read_text(errors="replace") if log else result.stdout + result.stderr
        where = f" (all of it: {log})" if log else ""
        raise LabError(
            f"exit status {result.returncode}: {shlex.join(command)}{where}\n{ending(printed.strip().splitlines())}"
        )
    return result


def ending(lines: Sequence[str]) -> str:
    """The last lines of a program's output, for an error."""
    return "\n".join(lines[-SHOWN_LINES:])


def output(command: Sequence[str], *, timeout: float = 60) -> str:
    """The command's stripped output. Raises LabError."""
    return run(command, timeout=timeout).stdout.strip()


def _run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path | None, timeout: float, log: Path | None, *, stdin: str
) -> subprocess.CompletedProcess[str]:
    if log is None:
        return subprocess.run(
            command,
            env=env,
            cwd=cwd,
            timeout=timeout,
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as sink:
        return subprocess.run(
            command,
            env=env,
            cwd=cwd,
            timeout=timeout,
            check=False,
            input=stdin,
            stdout=sink,
            stderr=subprocess.STDOUT,
            text=True,
        )
