"""Podman's commands, with a Podman that fails."""

import os
from pathlib import Path

import pytest

from lab.config import LabError
from lab.podman import remove_containers


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (1, 2)])
def test_machines_that_a_busy_host_ends_late_are_removed_at_the_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, tries: int
) -> None:
    asked = fake_podman(tmp_path, monkeypatch, failures)
    remove_containers(["cp1", "cp2"])
    assert asked.read_text().splitlines() == ["rm --force --ignore --volumes --time=0 cp1 cp2"] * tries


def test_machines_that_do_not_end_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_podman(tmp_path, monkeypatch, 2)
    with pytest.raises(LabError, match="did not die"):
        remove_containers(["cp1"])


def fake_podman(folder: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> Path:
    """A Podman that fails so many times. Returns the file of its arguments, a line for each time."""
    program, asked = folder / "podman", folder / "asked"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>{asked}\n[ "$(wc -l <{asked})" -gt {failures} ] || '
        "{ echo PIDs did not die within timeout >&2; exit 125; }\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return asked
