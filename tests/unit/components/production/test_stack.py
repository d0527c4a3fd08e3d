"""A stack's file is read as Pulumi reads it, secrets included."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.config.load import ConfigError
from components.production import stack
from components.production.stack import SiteError, declare, read


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for stacks, with a folder for programs that is first on PATH."""
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


def pulumi(project: Path, script: str) -> None:
    program = project / "bin" / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_sections_are_read_without_pulumi_where_nothing_is_secret(project: Path) -> None:
    (project / "Pulumi.east.yaml").write_text(
        "config:\n  argus:kafka: { replicas: 3 }\n  audit: { ship: true }\n  aws:region: here\n"
    )
    assert read("east") == {"kafka": {"replicas": 3}, "audit": {"ship": True}}


def test_a_stack_that_is_not_there_is_named_with_those_that_are(project: Path) -> None:
    (project / "Pulumi.west.yaml").write_text("config: {}\n")
    with pytest.raises(SiteError, match=r"Pulumi\.east\.yaml is missing; there are west"):
        read("east")


def test_secrets_are_read_by_pulumi(project: Path) -> None:
    (project / "Pulumi.east.yaml").write_text(
        "config:\n  argus:cameraCredentials: { gate: { username: u, password: { secure: v1:x } } }\n"
    )
    login = {"gate": {"username": "u", "password": "secret"}}
    printed = {
        "argus:cameraCredentials": {"value": json.dumps(login), "objectValue": login, "secret": True},
        "argus:word": {"value": "plain", "secret": False},
    }
    pulumi(project, f"cat <<'EOF'\n{json.dumps(printed)}\nEOF")
    assert read("east") == {"cameraCredentials": login, "word": "plain"}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'passphrase must be set' >&2; exit 1", "passphrase must be set.*log in to its backend"),
        (None, "install it"),
    ],
)
def test_secrets_that_cannot_be_read_are_an_error_with_a_remedy(project: Path, script: str | None, says: str) -> None:
    (project / "Pulumi.east.yaml").write_text("config:\n  argus:ssh: { privateKey: { secure: v1:x } }\n")
    if script:
        pulumi(project, script)
    with pytest.raises(SiteError, match=says):
        read("east")


def test_a_mistake_is_reported_as_by_a_preview(hosts: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"argus:kafka\.replcas: unknown key"):
        declare({**hosts, "kafka": {"replcas": 3}})


def test_what_is_missing_to_pin_is_no_error_because_it_is_what_is_looked_for(hosts: dict[str, Any]) -> None:
    images, cluster = {**hosts["images"], "requireDigests": True}, {**hosts["cluster"], "requireChecksums": True}
    declared = declare({**hosts, "images": images, "cluster": cluster})
    assert declared.of_type("kubernetes:apps/v1:StatefulSet")
