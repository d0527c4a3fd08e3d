"""Pulumi mocks for all component tests: run a program, then inspect the resources that it registered."""

from __future__ import annotations

import gc
import json
import logging
import os
import runpy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.config import Ssh
from components.recorder import Recorder, own_event_loop
from tests.signers import stand_in
from tests.unit.components.host_keys import host_key
from tests.unit.stacks import configuration
from tests.unknown_key import UNKNOWN_KEY

ROOT = Path(__file__).parents[3]
Program = Callable[..., Any]


def ssh_options(**others: Any) -> Ssh:
    """The SSH section of a stack, with changes."""
    return Ssh.model_validate({"privateKey": "key"} | others)


@pytest.fixture
def pulumi_mocks() -> Recorder:
    """A fresh recorder; `pulumi_mocks.run(lambda: Component(...))`, then look at `pulumi_mocks.resources`."""
    logging.getLogger("pulumi").setLevel(logging.WARNING)
    return Recorder()


@pytest.fixture(scope="session")
def unchanged() -> dict[Path, Recorder]:
    """What the program registered for each stack file without changes, because most tests only look at that."""
    return {}


@pytest.fixture
def program(
    pulumi_mocks: Recorder, unchanged: dict[Path, Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """`program(file, {section: {key: value}})` runs `__main__` in preview with a changed stack file.

    Without changes it runs once in the session, unless a test that changed the program wants it `anew`. The private key
    that the file names is in a temporary home folder.
    """

    def run(file: Path, changes: Mapping[str, Mapping[str, Any]] | None = None, *, anew: bool = False) -> Recorder:
        if not changes and not anew and file in unchanged:
            return unchanged[file]
        config = configuration(file)
        for section, values in (changes or {}).items():
            config[f"argus:{section}"] = {**config.get(f"argus:{section}", {}), **values}
        monkeypatch.setenv("HOME", str(tmp_path))
        key = Path(config["argus:ssh"]["privateKeyFile"]).expanduser()
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text(UNKNOWN_KEY)
        pulumi.runtime.set_all_config({name: json.dumps(value) for name, value in config.items()})
        # The keys of machines that were seen before. No other local command prints a single line.
        pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": host_key(name)}
        pulumi_mocks.run(lambda: runpy.run_path(str(ROOT / "__main__.py")) and None, preview=True)
        if not changes and not anew:
            unchanged[file] = pulumi_mocks
        return pulumi_mocks

    debug = pulumi.log.debug
    yield run
    # What the program spared itself (engine.spare_costs).
    gc.enable()
    pulumi.log.debug = debug
    pulumi.runtime.set_all_config({})


@pytest.fixture(autouse=True)
def _own_event_loop() -> Iterator[None]:
    """For tests that use Pulumi's mocks without a Recorder, which has its own."""
    with own_event_loop():
        yield


@pytest.fixture(scope="session")
def with_cosign(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PATH of this computer with a cosign, which stacks with signers need."""
    return os.pathsep.join([str(stand_in(tmp_path_factory.mktemp("signing"), "cosign")), os.environ["PATH"]])


@pytest.fixture(autouse=True)
def _cosign(with_cosign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", with_cosign)
