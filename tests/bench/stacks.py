"""The measured stacks: derived from the committed stack files, with a separate state and home."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from lab import stack as lab_stack
from lab.config import ROOT, TOOLS
from lab.shell import run
from lab.toolchain.plugins import PLUGINS

Config = dict[str, Any]
"""The `config` of a stack file."""

MACHINES = IPv4Network("10.64.0.0/16")
PODS = IPv4Network("10.240.0.0/12")
"""Enough for 4096 nodes with a /24 each."""

_NAME = "bench"


def committed(name: str) -> Config:
    """The configuration in one of this repository's stack files."""
    config: Config = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))["config"]
    return config


def with_key(config: Config, key: Path) -> Config:
    """The same stack with another private key."""
    return {**config, "argus:ssh": {**config["argus:ssh"], "privateKeyFile": str(key)}}


def sized(config: Config, *, control_planes: int, workers: int) -> Config:
    """The same stack on this many machines, with addresses for all of their pods."""
    addresses = MACHINES.hosts()
    endpoint = next(addresses)
    machines = {
        "controlPlanes": _machines("control", control_planes, addresses),
        "workers": _machines("worker", workers, addresses),
    }
    cluster = {**config["argus:cluster"], "endpoint": str(endpoint), "podNetwork": str(PODS)}
    return {**config, "argus:machines": machines, "argus:cluster": cluster}


def without(config: Config, worker: str) -> Config:
    """The same stack without one of its workers."""
    machines = config["argus:machines"]
    left = [machine for machine in machines["workers"] if machine["name"] != worker]
    return {**config, "argus:machines": {**machines, "workers": left}}


def unavailable() -> str | None:
    """Why Pulumi cannot run here with the lab's tools and plugins; None if it can."""
    if not (TOOLS / "pulumi").exists():
        return f"{TOOLS} has no pulumi"
    installed = lab_stack.HOME / "plugins"
    missing = [name for name in PLUGINS if not any(installed.glob(f"resource-{name}-*/pulumi-resource-{name}"))]
    return f"{installed} lacks {', '.join(missing)}" if missing else None


class Stack:
    """A stack of the whole program that shares only tools and plugins with the lab's own."""

    def __init__(self, folder: Path, config: Config, *, plugins: Path = lab_stack.HOME / "plugins") -> None:
        project, home, backend, passphrase = (folder / name for name in ("project", "home", "state", "passphrase"))
        for each in (project, home, backend):
            each.mkdir(parents=True)
        (home / "plugins").symlink_to(plugins)
        passphrase.write_text("bench\n")
        self.environment = {
            **lab_stack.environment(),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_STACK": _NAME,
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
        }
        # Pulumi writes the passphrase's salt beside the project file, so the stack is made in another project.
        self._file = project / f"Pulumi.{_NAME}.yaml"
        (project / "Pulumi.yaml").write_text("name: argus\nruntime: python\n")
        run(["pulumi", "--non-interactive", "stack", "init", _NAME], env=self.environment, cwd=project)
        self._salt = yaml.safe_load(self._file.read_text(encoding="utf-8"))["encryptionsalt"]
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Set the stack's configuration."""
        self._file.write_text(yaml.safe_dump({"encryptionsalt": self._salt, "config": config}), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """The command line of a Pulumi command that reads the configuration, to be run in `environment`."""
        return ["pulumi", "--non-interactive", "--cwd", str(ROOT), *arguments, "--config-file", str(self._file)]


def _machines(kind: str, count: int, addresses: Iterator[IPv4Address]) -> list[dict[str, str]]:
    return [{"name": f"{kind}-{number}", "address": str(next(addresses))} for number in range(1, count + 1)]
