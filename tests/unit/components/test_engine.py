"""Only certain modules use internals of Pulumi's SDK, and what the program turns off there is off."""

import ast
import asyncio
import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, resource, rpc
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.sync_await import _sync_await

from components import engine
from tests.unit.components.conftest import ROOT, Recorder

SDK = ("pulumi", "pulumi_command", "pulumi_kubernetes")
AS_IT_WAS = (pulumi.log.debug, resource._get_stack_trace, rpc.contains_unknowns)
"""Before any test has run the program, which changes them."""


def internals(path: Path) -> Iterator[str]:
    """A module's uses of `pulumi.runtime` or private parts of the SDK."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        for name in names:
            package, *parts = name.split(".")
            if package in SDK and ("runtime" in parts[:1] or any(part.startswith("_") for part in parts)):
                yield name


def test_only_two_modules_use_them() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (*ROOT.glob("components/**/*.py"), ROOT / "__main__.py")
        if any(internals(path))
    }
    assert found == {"components/engine.py", "components/recorder.py"}


class Traces(mocks.MockMonitor):
    """Records the stack trace of each resource."""

    def __init__(self) -> None:
        super().__init__(Recorder())
        self.frames: dict[str, int] = {}

    def RegisterResource(self, request: Any) -> Any:
        self.frames[request.name] = len(request.stackTrace.frames)
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


class Thing(pulumi.ComponentResource):
    """A component as the program has them."""

    def __init__(self, name: str) -> None:
        super().__init__("argus:test:Thing", name, {})


@pytest.fixture
def _sdk_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what engine.spare_costs does."""
    debug, trace, unknowns = AS_IT_WAS
    monkeypatch.setattr(pulumi.log, "debug", debug)
    monkeypatch.setattr(resource, "_get_stack_trace", trace)
    monkeypatch.setattr(rpc, "contains_unknowns", unknowns)
    yield
    gc.enable()


@pytest.mark.usefixtures("_sdk_as_it_was")
@pytest.mark.parametrize(("debug", "said"), [("", False), ("1", True)])
def test_neither_stack_traces_nor_debug_messages_are_sent(
    debug: str, said: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ARGUS_DEBUG", debug)
    caplog.set_level(logging.DEBUG)

    def frames() -> int:
        monitor = Traces()
        set_root_resource(None)  # type: ignore[arg-type]
        pulumi.runtime.set_mocks(monitor.mocks, project="argus", stack="test", monitor=monitor)
        _sync_await(asyncio.wait_for(Thing("thing").urn.future(), 30))
        return monitor.frames["thing"]

    assert frames() > 0
    caplog.clear()
    engine.spare_costs()
    assert frames() == 0
    assert any("argus:test:Thing" in each.getMessage() for each in caplog.records) is said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Of what earlier tests have left.
@pytest.mark.usefixtures("_sdk_as_it_was")
def test_outputs_leave_no_garbage_to_search_for() -> None:
    """The program does not search."""

    def left() -> int:
        gc.collect()
        gc.disable()
        outputs = [pulumi.Output.from_input(number) for number in range(100)]
        _sync_await(asyncio.gather(*(each.future() for each in outputs)))
        return gc.collect()

    assert left() > 100
    gc.enable()
    engine.spare_costs()
    assert not gc.isenabled()
    assert left() < 10


class WithValues(dict[str, Any]):
    """Like the SDK's types of outputs, which have a property for each field of the same name."""

    values: Any = None


UNKNOWN = pulumi.output.Unknown()
ENDLESS: list[Any] = [1]
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("value", "contains"),
    [
        (UNKNOWN, True),
        ("text", False),
        (None, False),
        ([1, [2, UNKNOWN]], True),
        ({"a": {"b": [UNKNOWN]}}, True),
        ({"a": {"b": ["text"]}}, False),
        (WithValues(values=[UNKNOWN]), True),
        (ENDLESS, False),
        ((UNKNOWN,), False),
    ],
)
def test_unknown_values_are_found_where_the_sdk_finds_them(value: Any, contains: bool) -> None:
    sdk = AS_IT_WAS[2]
    assert engine.contains_unknowns(value) is sdk(value) is contains
