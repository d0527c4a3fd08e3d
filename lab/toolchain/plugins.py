"""Pulumi's Command and Kubernetes plugins: the published ones if they can be downloaded, else lab/providers' own."""

import tempfile
from importlib import metadata
from pathlib import Path

from lab.config import TOOLS
from lab.progress import now
from lab.shell import run
from lab.toolchain import ensure_providers

PLUGINS = {"command": "pulumi-command", "kubernetes": "pulumi-kubernetes"}
"""The Python package of each plugin, which requires the plugin in its own version."""

_DOWNLOAD_SECONDS = 180
_INSTALL_SECONDS = 60
_STAND_IN = "argus-stand-in"


def install_providers(pulumi_home: Path) -> None:
    """Install both plugins in PULUMI_HOME, in the versions that the Python packages require."""
    stand_ins: Path | None = None
    for name, package in PLUGINS.items():
        version = f"v{metadata.version(package)}"
        folder = pulumi_home / "plugins" / f"resource-{name}-{version}"
        marker = folder / _STAND_IN
        program = folder / f"pulumi-resource-{name}"
        if program.exists() and not marker.exists():
            continue
        if not program.exists() and _downloaded(name, version, pulumi_home):
            continue
        stand_ins = stand_ins or ensure_providers()
        key = stand_ins.parent.name
        if program.exists() and marker.read_text() == key:
            continue
        now(f"plugin {name} {version}: installing the stand-in of lab/providers")
        _install(name, version, stand_ins / program.name, pulumi_home)
        marker.write_text(key)


def _downloaded(name: str, version: str, pulumi_home: Path) -> bool:
    now(f"plugin {name} {version}: asking for the published one")
    arguments = ("plugin", "install", "resource", name, version)
    return _pulumi(pulumi_home, *arguments, timeout=_DOWNLOAD_SECONDS, check=False)


def _install(name: str, version: str, program: Path, pulumi_home: Path) -> None:
    # Pulumi accepts the program only under the plugin's own file name.
    with tempfile.TemporaryDirectory() as work:
        link = Path(work) / f"pulumi-resource-{name}"
        link.write_bytes(program.read_bytes())
        link.chmod(0o755)
        arguments = ("plugin", "install", "resource", name, version, "--file", str(link), "--reinstall")
        _pulumi(pulumi_home, *arguments, timeout=_INSTALL_SECONDS)


def _pulumi(pulumi_home: Path, *arguments: str, timeout: float, check: bool = True) -> bool:
    environment = {"PULUMI_HOME": str(pulumi_home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    return run([str(TOOLS / "pulumi"), *arguments], env=environment, timeout=timeout, check=check).returncode == 0
