"""The running lab, once per session: `make up` starts it unless it runs, and `make test` removes it afterwards."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.config import Settings, lasting, load_values
from lab import stack as lab_stack
from lab.config import STACK_FILE, STATE
from tests.e2e.cluster import ClusterClient
from tests.e2e.page import Login
from tests.e2e.timings import Timings
from tests.e2e.waiting import wait_until

ROOT = Path(__file__).parents[2]
UP_LIMIT_S = 75 * 60
PULUMI_LIMIT_S = 30 * 60


class Stack:
    """The dev stack on the lab."""

    cluster: ClusterClient
    """Set by `connect`, like the login to the page."""
    login: Login

    def __init__(self, directory: Path) -> None:
        self._kubeconfig = directory / "kubeconfig"

    def connect(self, client: Callable[[Path], ClusterClient] = ClusterClient) -> None:
        """Read the cluster's address and certificates from the stack's present outputs. Fails where it has none."""
        printed = run_lab("pulumi", "--", "stack", "output", "--json", "--show-secrets")
        outputs: dict[str, Any] = json.loads(printed)
        assert "kubeconfig" in outputs, "no update of the stack has come to its end: make up"
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(outputs["kubeconfig"])
        self.cluster, self.login = client(self._kubeconfig), Login.from_outputs(outputs)

    def up_killed(self, moment: str, reached: Callable[[], bool], config: Path) -> None:
        """Run `pulumi up`, kill it and its child processes when `reached` returns true, and unlock the stack."""
        command = [sys.executable, "-m", "lab", "pulumi", "--", "up", "--yes", "--skip-preview"]
        with subprocess.Popen(
            [*command, "--config-file", str(config)], cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL
        ) as up:

            def seen() -> str | None:
                assert up.poll() is None, f"pulumi up ended with {up.returncode}, and not at the moment: {moment}"
                return None if reached() else "not yet"

            try:
                wait_until(moment, seen, limit_s=PULUMI_LIMIT_S, pause_s=0.5)
            finally:
                if up.poll() is None:
                    os.killpg(up.pid, signal.SIGKILL)
        self.pulumi("cancel", "--yes")

    def up(self, config: Path | None = None, *, expect_no_changes: bool = False) -> str:
        """Update the stack, by its own file or another, and return the output. Fails with the output's end."""
        options = ("--expect-no-changes",) if expect_no_changes else ()
        file = ("--config-file", str(config)) if config else ()
        return self.pulumi("up", "--yes", "--skip-preview", *options, *file)

    def destroy(self) -> str:
        """Destroy the stack and return the output. Fails with the output's end."""
        return self.pulumi("destroy", "--yes", "--skip-preview")

    def pulumi(self, *arguments: str) -> str:
        """Run the lab's Pulumi on the dev stack and return its output. Fails with the output's end."""
        return run_lab("pulumi", "--whole", "--", *arguments)


def run_lab(*arguments: str, limit_s: float = PULUMI_LIMIT_S) -> str:
    """Run `python -m lab` and return its standard output. Fails with the output's end."""
    command = [sys.executable, "-m", "lab", *arguments]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=limit_s, check=False)
    tail = (done.stdout + done.stderr)[-6000:]
    assert done.returncode == 0, f"{' '.join(command)} exited with {done.returncode}:\n{tail}"
    return done.stdout


def make(target: str, limit_s: float) -> None:
    """Run a target of the Makefile, showing its output."""
    done = subprocess.run(["make", target], cwd=ROOT, timeout=limit_s, check=False)
    assert done.returncode == 0, f"make {target} exited with {done.returncode}; its output is above"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Destroy the stack last: to make it again takes longer than most tests."""
    items.sort(key=lambda item: item.path.name == "test_destroy.py")


def running_settings() -> Settings:
    """The settings of the running stack."""
    config = yaml.safe_load((STATE / STACK_FILE.name).read_text())["config"]
    return load_values({key.removeprefix("argus:"): section for key, section in config.items()})


def kept() -> dict[str, Any]:
    """What the last update that came to its end has recorded for life; empty for a new stack."""
    return json.loads(lab_stack.output("lasting") or "{}")  # type: ignore[no-any-return]


def another_version_s() -> bool:
    """Whether an earlier run has left a stack that becomes this one only in steps, or not at all."""
    return bool(lasting.refusals(kept(), lasting.of(running_settings())))


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """The lab's machines and services. ARGUS_KEEP_LAB=1 leaves them running afterwards."""
    run_lab("up", limit_s=UP_LIMIT_S)
    yield
    if os.environ.get("ARGUS_KEEP_LAB") != "1":
        make("down", PULUMI_LIMIT_S)


@pytest.fixture(scope="session")
def stack(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The running dev stack."""
    if another_version_s():
        make("down", PULUMI_LIMIT_S)
    make("up", UP_LIMIT_S)
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.connect()
    return stack


@pytest.fixture(scope="session")
def timings() -> Timings:
    """Records how long scenarios take."""
    return Timings()


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The folder for screenshots and figures."""
    folder = ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder
