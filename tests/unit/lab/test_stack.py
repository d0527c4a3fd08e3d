import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import stack
from lab.config import STACK_FILE, TOOLS, LabError


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
    file = yaml.safe_load(STACK_FILE.read_text())
    file["config"].setdefault(section, {}).update(wanted)
    changed = tmp_path / STACK_FILE.name
    changed.write_text(yaml.safe_dump(file))
    monkeypatch.setattr(stack, "STACK_FILE", changed)
    assert stack.autoscalers() == used


def test_spare_machines_are_known_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert stack.standby() == []
    file = yaml.safe_load(STACK_FILE.read_text())
    file["config"]["argus:machines"]["workers"][0]["standby"] = True
    changed = tmp_path / STACK_FILE.name
    changed.write_text(yaml.safe_dump(file))
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
