"""The runner is continued when it loses track of running tests, and its failures are shown."""

from pathlib import Path

import pytest

from lab.config import LabError
from lab.toolchain import Toolchain
from lab.toolchain.releases import CONFORMANCE, Release
from tests.conformance import cluster
from tests.conformance.cluster import Cluster

LOSES_SIGHT = """
echo "$@" >> "$0.calls"
case "$*" in
*--continue) echo whole > "$RESULTS/junit_01.xml" ;;
*) : > "$RESULTS/junit_01.xml"; echo could not find test spec count; exit 1 ;;
esac
"""
NEVER_STARTS = 'echo "namespace argus-conformance already exists"; exit 1'


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    monkeypatch.setattr(cluster, "_PAUSE_SECONDS", 0)
    monkeypatch.setenv("RESULTS", str(tmp_path))
    (tmp_path / "bin").mkdir()
    return Toolchain(release=Release(groups=CONFORMANCE.groups, store=tmp_path, bin=tmp_path / "bin"), groups={})


def program(tools: Toolchain, name: str, script: str) -> None:
    path = tools.release.bin / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def runner(tools: Toolchain, folder: Path, *, hydrophone: str, pod: str) -> Cluster:
    program(tools, "hydrophone", hydrophone)
    program(tools, "kubectl", f"printf '{pod}'")
    return Cluster(tools, folder / "kubeconfig", folder)


def test_a_runner_that_loses_sight_of_running_tests_is_told_to_go_on(made: Toolchain, tmp_path: Path) -> None:
    report = runner(made, tmp_path, hydrophone=LOSES_SIGHT, pod="Running").run_tests(r"\[Serial\]|a b", 3, 7)
    assert report.read_text() == "whole\n"
    first, second = (made.release.bin / "hydrophone.calls").read_text().splitlines()
    assert second == f"{first} --continue"
    assert r"--skip \[Serial\]|a b --parallel 3 --extra-ginkgo-args --timeout=7m" in first
    assert f"registry.k8s.io/conformance:{CONFORMANCE.version}" in first


def test_tests_that_never_started_are_an_error_with_the_runners_own_words(made: Toolchain, tmp_path: Path) -> None:
    stuck = runner(made, tmp_path, hydrophone=NEVER_STARTS, pod="")
    with pytest.raises(LabError, match=r"(?s)ended with 1 and without a report.*already exists"):
        stuck.run_tests("", 1, 1)
