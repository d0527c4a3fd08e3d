"""Runs a Pulumi program without an engine, and records what it declares.

Pulumi's mocks stand for the engine: no plugin is started, and no machine or cluster is asked.
"""

from __future__ import annotations

import asyncio
import logging
import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, resource, rpc
from pulumi.runtime.proto.source_pb2 import StackTrace
from pulumi.runtime.settings import SETTINGS, get_root_resource, set_root_resource
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

ROOT_TYPE = "pulumi:pulumi:Stack"
"""The type of the resource that stands for the stack itself."""

Outputs = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""Makes the outputs of a resource of one type, beside its inputs, from its name and inputs."""


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
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The URNs of the resources on whose outputs each input depends."""


def _unwrap(value: Any) -> Any:
    if rpc.is_rpc_secret(value):
        return _unwrap(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unwrap(item) for item in value]
    return value


def _name_of(urn: str) -> str | None:
    if not urn or urn.split("::")[2] == ROOT_TYPE:
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
        """Return the inputs, plus what `outputs` has for this type."""
        inputs = _unwrap(args.inputs)
        printed = rpc.UNKNOWN if pulumi.runtime.is_dry_run() else ""
        defaults: dict[str, Any] = {"stdout": printed, "stderr": printed} if args.typ.startswith("command:") else {}
        answer = self.outputs[args.typ](args.name, inputs) if args.typ in self.outputs else {}
        return f"{args.name}-id", {**inputs, **defaults, **answer}

    def run(self, program: Callable[[], Any], *, preview: bool = False) -> Any:
        """Run `program` until every resource is registered; return its (awaited) value."""

        result: Any = None

        async def body() -> None:
            nonlocal result
            result = await pulumi.Output.from_input(program()).future(with_unknowns=True)
            with suppress(Exception):
                await _everything_known()
                root: Any = get_root_resource()
                for name, value in root.outputs.items():
                    self.exports[name] = await pulumi.Output.from_input(value).future()

        SETTINGS.rpc_manager.clear()
        SETTINGS.outputs.clear()
        # A stack of its own: in that of an earlier run are the outputs of that run, which may have failed.
        set_root_resource(None)  # type: ignore[arg-type]
        with own_event_loop(), _without_source_lines():
            pulumi.runtime.set_mocks(self, project="argus", stack="test", preview=preview, monitor=_Monitor(self))
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


def record(program: Path, config: Mapping[str, str]) -> list[Registered]:
    """What a program's file declares in a preview with this configuration (text by `project:key`), in this process.

    Raises what the program raises. What stays unknown without machines is no error.
    """
    logging.getLogger("pulumi").setLevel(logging.CRITICAL)
    recorder = Recorder()
    pulumi.runtime.set_all_config(dict(config))
    try:
        recorder.run(lambda: runpy.run_path(str(program)) and None, preview=True)
    finally:
        pulumi.runtime.set_all_config({})
    return recorder.resources


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
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != ROOT_TYPE:
            self.recorder.resources.append(registered(request, response.urn))
        return response


def registered(request: Any, urn: str) -> Registered:
    """The resource that a request to the engine's resource monitor registers."""
    inputs = rpc.deserialize_properties(request.object)
    return Registered(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=_name_of(request.parent),
        inputs=_unwrap(inputs),
        secret_inputs=frozenset(key for key, value in inputs.items() if rpc.is_rpc_secret(value)),
        secret_outputs=frozenset(request.additionalSecretOutputs),
        depends_on=frozenset(filter(None, map(_name_of, request.dependencies))),
        ignore_changes=frozenset(request.ignoreChanges),
        urn=urn,
        delete_before_replace=request.deleteBeforeReplace,
        sources={name: frozenset(each.urns) for name, each in request.propertyDependencies.items()},
    )


@contextmanager
def own_event_loop() -> Iterator[None]:
    """The SDK wants the thread's event loop, which whoever ran `asyncio.run` before has left unset.

    The futures of a program that failed are collected at any later time. Python would print each one's traceback
    there, and while `ast.parse` runs that is an error in Python 3.11 (its issue 106905).
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@contextmanager
def _without_source_lines() -> Iterator[None]:
    """The SDK walks Python's stack for every resource, only to tell the engine a source line."""
    original = resource._get_stack_trace
    resource._get_stack_trace = StackTrace
    try:
        yield
    finally:
        resource._get_stack_trace = original
