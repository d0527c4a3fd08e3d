"""Commands on Pulumi's own computer: which hosts they may contact, and when they need not run again."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import remote
from tests.unit.components.conftest import ssh_options
from tests.unit.components.host_keys import host_key

HOST, OTHER = "192.0.2.11", "192.0.2.12"
SSH = remote.Ssh(options=ssh_options(), host_keys={HOST: [host_key("cp1")], OTHER: [host_key("cp2"), host_key("cp3")]})


def test_nobody_is_spoken_to_whose_key_is_not_known() -> None:
    opts, script = pulumi.ResourceOptions(), remote.Script(files=[], values={})
    with pytest.raises(ValueError, match=r"no SSH host key of 192\.0\.2\.99 is known"):
        remote.command("told", host="192.0.2.99", ssh=SSH, create=script, opts=opts)
    with pytest.raises(ValueError, match=r"no SSH host key of 192\.0\.2\.99 is known"):
        remote.ask("asked", host="192.0.2.99", ssh=SSH, create=script, opts=opts)
    with pytest.raises(ValueError, match="unpack"):
        remote.command("told", host=OTHER, ssh=SSH, create=script, opts=opts)


def made(mocks: Any, ssh: remote.Ssh, script: remote.Script, about: str = "") -> dict[str, Any]:
    """The inputs of a command without a `create`."""
    recorder = type(mocks)()
    recorder.run(
        lambda: (
            remote.command_from_here(
                "here", ssh=ssh, hosts=[HOST, OTHER], update=script, about=about, opts=pulumi.ResourceOptions()
            ).id
        )
    )
    inputs: dict[str, Any] = recorder.named("here").inputs
    return inputs


def run(inputs: dict[str, Any], phase: str, before: str = "") -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", inputs[phase]],
        env={"PATH": os.environ["PATH"], **inputs["environment"], "PULUMI_COMMAND_STDOUT": before},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rstrip("\n")


def test_an_update_runs_for_its_script_and_values_and_not_for_keys(pulumi_mocks: Any, tmp_path: Path) -> None:
    file = tmp_path / "say.sh"
    file.write_text('echo "ran with $WORD"\n')
    first = made(pulumi_mocks, SSH, remote.Script(files=[file], values={"WORD": "one"}))
    marked = run(first, "create")
    assert marked.startswith("# ")
    assert run(first, "update", marked) == marked

    keys = {**SSH.host_keys, OTHER: [host_key("cp3")]}
    other = made(
        pulumi_mocks,
        replace(SSH, options=ssh_options(privateKey="new"), host_keys=keys),
        remote.Script(files=[file], values={"WORD": "one"}),
    )
    assert other["environment"] != first["environment"]
    assert run(other, "update", marked) == marked

    changed = made(pulumi_mocks, SSH, remote.Script(files=[file], values={"WORD": "two"}))
    again = run(changed, "update", marked)
    assert again.splitlines()[1:] == ["ran with two"]
    assert run(changed, "update", again) == again
    # From an earlier version, which left no marker.
    assert run(changed, "update").splitlines()[1:] == ["ran with two"]
