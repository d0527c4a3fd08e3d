"""Pulumi mocks for all component tests: run a program, then inspect the resources that it registered."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import pytest
from pulumi.runtime import mocks, resource, rpc
from pulumi.runtime.proto.source_pb2 import StackTrace
from pulumi.runtime.settings import SETTINGS, get_root_resource, set_root_resource
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

from components.config import Ssh
from tests.unit.components.host_keys import host_key
from tests.unit.stacks import configuration

ROOT = Path(__file__).parents[3]
Outputs = Callable[[str, dict[str, Any]], Mapping[str, Any]]
Program = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One registered resource; secrets are unwrapped in `inputs` and named in `secret_inputs`."""

    type: str
    name: str
    custom: bool
    parent: str | None
    inputs: dict[str, Any]
    secret_inputs: frozenset[str]
    secret_outputs: frozenset[str]
    depends_on: frozenset[str]
    ignore_changes: frozenset[str]
    urn: str
    delete_before_replace: bool = False


def _unwrap(value: Any) -> Any:
    if rpc.is_rpc_secret(value):
        return _unwrap(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrap(item) for item in value]
    return value


def _name_of(urn: str) -> str | None:
    if not urn or urn.split("::")[2] == "pulumi:pulumi:Stack":
        return None
    return urn.rsplit("::", maxsplit=1)[-1]


@dataclass
class Recorder(mocks.Mocks):
    """All resources that a program registers, in order. Their outputs are their inputs plus those from `outputs`."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Outputs] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)
    """The stack's outputs, unless the program failed."""

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        """Functions return nothing, also the engine's own, which would return the stack's previous state."""
        return {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Return the inputs, plus the outputs that the test defines for this type."""
        inputs = _unwrap(args.inputs)
        printed = rpc.UNKNOWN if pulumi.runtime.is_dry_run() else ""
        defaults: dict[str, Any] = {"stdout": printed, "stderr": printed} if args.typ.startswith("command:") else {}
        answer = self.outputs[args.typ](args.name, inputs) if args.typ in self.outputs else {}
        return f"{args.name}-id", {**inputs, **defaults, **answer}

    def run(self, program: Callable[[], Any], *, preview: bool = False) -> Any:
        """Run `program` until every resource is registered; return its (awaited) value."""

        async def body() -> None:
            nonlocal result
            result = await pulumi.Output.from_input(program()).future(with_unknowns=True)
            with suppress(Exception):
                await _everything_known()
                for name, value in get_root_resource().outputs.items():
                    self.exports[name] = await pulumi.Output.from_input(value).future()

        result: Any = None
        SETTINGS.rpc_manager.clear()
        SETTINGS.outputs.clear()
        # A stack of its own: in that of an earlier run are the outputs of that run, which may have failed.
        set_root_resource(None)
        pulumi.runtime.set_mocks(self, project="argus", stack="test", preview=preview, monitor=_Monitor(self))
        # The SDK reads the stack with pytest's frames for every resource, only to tell the engine a source line.
        with patch.object(resource, "_get_stack_trace", StackTrace):
            _sync_await(run_pulumi_func(lambda: _sync_await(body())))
        return result

    def named(self, name: str) -> Registered:
        """The one resource of this name."""
        found = [each for each in self.resources if each.name == name]
        assert len(found) == 1, f"{name}: {len(found)} of {sorted(each.name for each in self.resources)}"
        return found[0]

    def of_type(self, type_: str) -> list[Registered]:
        """All resources of one type token."""
        return [each for each in self.resources if each.type == type_]

    def children(self, name: str) -> list[Registered]:
        """The direct children of a resource."""
        return [each for each in self.resources if each.parent == name]


async def _everything_known() -> None:
    """Wait for all outputs together, because the SDK's own wait looks at every pending one whenever one arrives.

    One that fails ends the wait; the SDK reports it.
    """
    while pending := [each for each in SETTINGS.outputs if not each.done()]:
        await asyncio.gather(*pending)


class _Monitor(mocks.MockMonitor):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.recorder = recorder

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            inputs = rpc.deserialize_properties(request.object)
            self.recorder.resources.append(
                Registered(
                    type=request.type,
                    name=request.name,
                    custom=request.custom,
                    parent=_name_of(request.parent),
                    inputs=_unwrap(inputs),
                    secret_inputs=frozenset(key for key, value in inputs.items() if rpc.is_rpc_secret(value)),
                    secret_outputs=frozenset(request.additionalSecretOutputs),
                    depends_on=frozenset(filter(None, map(_name_of, request.dependencies))),
                    ignore_changes=frozenset(request.ignoreChanges),
                    urn=response.urn,
                    delete_before_replace=request.deleteBeforeReplace,
                )
            )
        return response


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
        key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
        pulumi.runtime.set_all_config({name: json.dumps(value) for name, value in config.items()})
        # The keys of machines that were seen before. No other local command prints a single line.
        pulumi_mocks.outputs["command:local:Command"] = lambda name, inputs: {"stdout": host_key(name)}
        pulumi_mocks.run(lambda: runpy.run_path(str(ROOT / "__main__.py")) and None, preview=True)
        if not changes and not anew:
            unchanged[file] = pulumi_mocks
        return pulumi_mocks

    thresholds, debug = gc.get_threshold(), pulumi.log.debug
    yield run
    # What the program spared itself (engine.spare_costs); what lives on is for the tests' own collector again.
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    pulumi.log.debug = debug
    pulumi.runtime.set_all_config({})


@pytest.fixture(autouse=True)
def _own_event_loop() -> Iterator[None]:
    """Pulumi's mocks need the thread's event loop, which tests of asyncio code leave unset.

    The futures of a program that failed are collected during some later test. Python would print each one's traceback
    there, and while `ast.parse` runs that is an error in Python 3.11 (its issue 106905).
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
