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
    """The inputs of a command."""
    recorder = type(mocks)()
    recorder.run(
        lambda: (
            remote.command_from_here(
                "here", ssh=ssh, hosts=[HOST, OTHER], create=script, about=about, opts=pulumi.ResourceOptions()
            ).id
        )
    )
    inputs: dict[str, Any] = recorder.named("here").inputs
    return inputs


def run(inputs: dict[str, Any], before: str = "") -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", inputs["create"]],
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
    marked = run(first)
    assert marked.startswith("# ")
    assert run(first, marked) == marked

    keys = {**SSH.host_keys, OTHER: [host_key("cp3")]}
    other = made(
        pulumi_mocks,
        replace(SSH, options=ssh_options(privateKey="new"), host_keys=keys),
        remote.Script(files=[file], values={"WORD": "one"}),
    )
    assert other["environment"] != first["environment"]
    assert run(other, marked) == marked

    changed = made(pulumi_mocks, SSH, remote.Script(files=[file], values={"WORD": "two"}))
    again = run(changed, marked)
    assert again.splitlines()[1:] == ["ran with two"]
    assert run(changed, again) == again
    # From an earlier version, which left no marker.
    assert run(changed).splitlines()[1:] == ["ran with two"]


def connection(mocks: Any, **ssh: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """How pulumi-command reaches a machine, and the names of the command's secret inputs."""
    options = ssh_options(**ssh)
    script = remote.Script(files=[], values={})
    mocks.run(
        lambda: (
            remote.command(
                "told", host=HOST, ssh=replace(SSH, options=options), create=script, opts=pulumi.ResourceOptions()
            ).id
        )
    )
    made = mocks.named("told")
    return made.inputs["connection"], made.secret_inputs


def test_a_key_with_its_passphrase(pulumi_mocks: Any) -> None:
    reached, secret = connection(pulumi_mocks, privateKey="key", passphrase="hush")
    assert (reached["privateKey"], reached["privateKeyPassword"]) == ("key", "hush")
    assert "connection" in secret
    assert "proxy" not in reached


def test_an_agent_is_found_when_the_command_runs(pulumi_mocks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is another one in each session: a connection that named it would run every step again."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent.1")
    reached, _ = connection(pulumi_mocks, privateKey=None, agent=True)
    assert not reached.keys() & {"privateKey", "privateKeyPassword", "agentSocketPath"}


@pytest.mark.parametrize(
    ("login", "shown"),
    [
        ({}, ("root", "key", None)),
        ({"user": "jump"}, ("jump", "key", None)),
        ({"privateKey": "other", "passphrase": "hush"}, ("root", "other", "hush")),
    ],
)
def test_a_bastion_is_known_by_its_key(
    pulumi_mocks: Any, login: dict[str, str], shown: tuple[str, str, str | None]
) -> None:
    given = {"host": "bastion.example.org", "port": 2222, "hostKey": host_key("bastion"), **login}
    reached, secret = connection(pulumi_mocks, bastion=given)
    proxy = reached["proxy"]
    assert (proxy["host"], proxy["port"], proxy["hostKey"]) == ("bastion.example.org", 2222, host_key("bastion"))
    assert (proxy["user"], proxy["privateKey"], proxy.get("privateKeyPassword")) == shown
    assert (reached["host"], reached["hostKey"]) == (HOST, host_key("cp1"))
    assert "connection" in secret


def test_what_is_secret_of_a_login_is_so_for_openssh_too(pulumi_mocks: Any) -> None:
    options = ssh_options(
        passphrase="hush", bastion={"host": "bastion", "hostKey": host_key("bastion"), "privateKey": "other"}
    )
    inputs = made(pulumi_mocks, replace(SSH, options=options), remote.Script(files=[], values={}))
    assert inputs["environment"].keys() == {
        "ARGUS_SSH_KEY",
        "ARGUS_SSH_PASSPHRASE",
        "ARGUS_BASTION_KEY",
        "ARGUS_KNOWN_HOSTS",
    }
    assert "hush" not in inputs["create"] and "other" not in inputs["create"]
