"""Pulumi can preview the stack file that users copy for real hosts, although its machines cannot be reached."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import stack as lab_stack
from tests.e2e.conftest import PULUMI_LIMIT_S, ROOT, Stack
from tests.unknown_key import UNKNOWN_KEY

STACK = "prod"


@pytest.fixture
def environment(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """The lab's Pulumi and plugins with a separate state, home and key."""
    config = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())["config"]
    key = tmp_path / config["argus:ssh"]["privateKeyFile"].removeprefix("~/")
    key.parent.mkdir(parents=True)
    key.write_text(UNKNOWN_KEY)
    backend = tmp_path / "state"
    backend.mkdir()
    return {
        **os.environ,
        **lab_stack.environment(),
        "HOME": str(tmp_path),
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_STACK": STACK,
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "",
    }


def test_the_stack_of_real_hosts_previews(environment: dict[str, str], tmp_path: Path) -> None:
    config = _with_a_salt(environment, tmp_path / "project")
    printed = _pulumi(environment, "preview", "--json", "--cwd", str(ROOT), "--config-file", str(config))
    steps = json.loads(printed)["steps"]
    assert {step["op"] for step in steps} == {"create"}
    types = {step["newState"]["type"] for step in steps}
    assert {"argus:cluster:ControlPlane", "argus:pipeline:ModelJob", "kubernetes:apps/v1:StatefulSet"} <= types


def _with_a_salt(environment: dict[str, str], project: Path) -> Path:
    """The committed stack file with the salt that `stack init` adds, made in a separate project."""
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: argus\nruntime: python\n")
    _pulumi(environment, "stack", "init", STACK, "--cwd", str(project))
    config = project / f"Pulumi.{STACK}.yaml"
    config.write_text(config.read_text() + (ROOT / config.name).read_text())
    return config


def _pulumi(environment: dict[str, str], *arguments: str) -> str:
    command = ["pulumi", "--non-interactive", *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=PULUMI_LIMIT_S, check=False)
    said = (done.stdout + done.stderr)[-6000:]
    assert done.returncode == 0, f"{' '.join(command)} exited with {done.returncode}:\n{said}"
    return done.stdout
