import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import stack
from lab.config import STACK_FILE, TOOLS, LabError
from tests.unit.stacks import LAB, configuration


def test_pulumi_finds_this_virtual_environment_first_then_the_labs_tools() -> None:
    path = stack.environment()["PATH"].split(os.pathsep)
    assert path[:2] == [str(Path(sys.executable).parent), str(TOOLS)]


def test_the_passphrase_travels_as_a_file_name_only() -> None:
    names = {name for name in stack.environment() if "PASSPHRASE" in name}
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" in names


@pytest.mark.parametrize("command", ["up", "preview", "refresh", "destroy", "config"])
def test_commands_that_read_the_configuration_get_the_labs_copy(lab_state: Path, command: str) -> None:
    expected = [command, "--config-file", str(lab_state / "Pulumi.dev.yaml"), "--yes"]
    assert stack._configured([command, "--yes"]) == expected


def test_other_commands_are_passed_on_as_they_are(lab_state: Path) -> None:
    assert stack._configured(["stack", "ls"]) == ["stack", "ls"]
    assert stack._configured([]) == []


@pytest.mark.parametrize(
    ("section", "wanted", "used"),
    [
        ("argus:ui", {}, []),
        ("argus:filebeat", {"replicas": {"maximum": 2}}, ["keda"]),
        ("argus:kafka", {"vertical": "recommend"}, ["vpa"]),
        ("argus:kafka", {"verticall": "recommend"}, []),
    ],
    ids=str,
)
def test_only_the_autoscalers_that_the_stack_uses_are_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: str, wanted: dict[str, Any], used: list[str]
) -> None:
    config = configuration(LAB)
    config.setdefault(section, {}).update(wanted)
    changed = tmp_path / STACK_FILE.name
    changed.write_text(yaml.safe_dump({"config": config}))
    monkeypatch.setattr(stack, "STACK_FILE", changed)
    assert stack.autoscalers() == used


def test_spare_machines_are_known_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stack, "STACK_FILE", LAB)
    assert stack.standby() == []
    config = configuration(LAB)
    config["argus:machines"]["workers"][0]["standby"] = True
    changed = tmp_path / STACK_FILE.name
    changed.write_text(yaml.safe_dump({"config": config}))
    monkeypatch.setattr(stack, "STACK_FILE", changed)
    assert stack.standby() == ["worker1"]


def test_forgetting_leaves_nothing_that_describes_the_stack(lab_state: Path) -> None:
    for folder in ("pulumi", "project", "home/workspaces", "home/plugins"):
        (lab_state / folder).mkdir(parents=True)
    for file in ("passphrase", "kubeconfig", "Pulumi.dev.yaml"):
        (lab_state / file).touch()
    stack.forget()
    assert [path.relative_to(lab_state).as_posix() for path in sorted(lab_state.rglob("*"))] == ["home", "home/plugins"]
    stack.forget()


def test_a_missing_pulumi_is_said_with_its_remedy(lab_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "environment", lambda: {"PATH": str(lab_state)})
    with pytest.raises(
        LabError, match=r"Pulumi is missing: `make up` builds it, or install it from https://www\.pulumi"
    ):
        stack.ensure()


FAKE_PULUMI = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *--event-log*) shown=log ;; *) shown=printed ;; esac
echo "the stream, $shown"
exit "${STATUS:-0}"
"""


@pytest.fixture
def pulumi_calls(lab_state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the arguments of each call of Pulumi, which is a stand-in here, on one line."""
    program, calls = lab_state / "bin" / "pulumi", lab_state / "calls"
    program.parent.mkdir()
    program.write_text(FAKE_PULUMI)
    program.chmod(0o755)
    project = lab_state / "project"
    project.mkdir()
    (project / STACK_FILE.name).write_text("encryptionsalt: v1:salt\n")
    monkeypatch.setattr(stack, "LOGS", lab_state / "logs")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(stack, "environment", lambda: dict(os.environ))
    return calls


def called(calls: Path) -> list[str]:
    """The Pulumi commands that ran, and whether their events were followed."""
    lines = [line.split() for line in calls.read_text().splitlines()]
    return [f"{line[3]}{' followed' if '--event-log' in line else ''}" for line in lines]


def checkpoint(lab_state: Path, *kinds: tuple[str, bool]) -> None:
    file = lab_state / "pulumi" / ".pulumi" / "stacks" / "argus" / "dev.json"
    file.parent.mkdir(parents=True)
    resources = [{"type": kind, "custom": custom} for kind, custom in kinds]
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": resources}}}))


def test_an_update_is_followed_and_what_it_prints_is_in_a_log_that_is_named(
    lab_state: Path, pulumi_calls: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert stack.pulumi(["up", "--yes", "--skip-preview"]) == 0
    assert called(pulumi_calls) == ["preview followed", "up followed"]
    said = capfd.readouterr()
    assert said.out == ""
    log = lab_state / "logs" / "pulumi-up.log"
    assert f"all that it prints goes to {log}" in said.err
    assert log.read_text() == "the stream, log\n"


def test_a_stack_whose_resources_are_known_is_not_previewed_to_count_them(lab_state: Path, pulumi_calls: Path) -> None:
    checkpoint(lab_state, ("command:local:Command", True), ("argus:x:Y", False), ("pulumi:providers:command", True))
    assert len(stack._resources()) == 1
    stack.pulumi(["up", "--yes", "--skip-preview"])
    assert called(pulumi_calls) == ["up followed"]


@pytest.mark.parametrize("arguments", [["destroy", "--yes"], ["up", "--yes", "--target", "urn"], ["refresh", "--yes"]])
def test_other_updates_are_followed_without_a_count(pulumi_calls: Path, arguments: list[str]) -> None:
    stack.pulumi(arguments)
    assert called(pulumi_calls) == [f"{arguments[0]} followed"]


@pytest.mark.parametrize(
    ("arguments", "whole"), [(["up", "--yes"], True), (["preview"], False), (["stack", "ls"], False)]
)
def test_everything_else_is_printed_whole_with_its_exit_status(
    pulumi_calls: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    whole: bool,
) -> None:
    monkeypatch.setenv("STATUS", "3")
    assert stack.pulumi(arguments, whole=whole) == 3
    assert capfd.readouterr().out == "the stream, printed\n"
    assert called(pulumi_calls) == [arguments[0]]


def test_a_failed_update_is_an_error_that_shows_the_end_of_its_log(
    pulumi_calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS", "255")
    with pytest.raises(LabError, match=r"exit status 255; the end of .*pulumi-up\.log:\nthe stream, log"):
        stack.pulumi(["up", "--yes"])
