"""The program's end waits for every resource, also for one made from another's outputs; few wait at the same time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import get_root_resource, mocks
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack
from pulumi_kubernetes import core

from components import registrations

BESIDE = 1000
"""As many callbacks are due after the program."""


class Echo(mocks.Mocks):
    """Registers and records every resource but the one called `refused`."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return {}, []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.name == "refused":
            raise ValueError("no such thing")
        self.names.append(args.name)
        return f"{args.name}-id", dict(args.inputs)


def run(program: Callable[[], None], *, echo: Echo | None = None, preview: bool = False) -> list[str]:
    """Run a program as `pulumi up` or `pulumi preview` does. Returns the names of its resources.

    After it, the event loop has much more to run in the same go.
    """
    echo = echo or Echo()
    pulumi.runtime.set_mocks(echo, project="argus", stack="test", preview=preview)
    root = get_root_resource()
    set_root_resource(None)
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        # As for other tests (see conftest.py): what fails here is collected later.
        loop.set_exception_handler(lambda _loop, _context: None)
        begin = loop.create_future()

        def go() -> None:
            begin.set_result(None)
            for _ in range(BESIDE):
                loop.call_soon(int)

        loop.call_soon(go)
        await begin
        registrations.wait_for_all()
        program()

    try:
        asyncio.run(run_in_stack(whole))
    finally:
        set_root_resource(root)
    return echo.names


def test_all_are_waited_for() -> None:
    def program() -> None:
        first = core.v1.ConfigMap("first")
        core.v1.ConfigMap("second", data={"after": first.id})
        first.id.apply(lambda _: core.v1.ConfigMap("third"))

    assert {"first", "second", "third"} <= set(run(program))


@pytest.mark.parametrize("preview", [False, True])
def test_one_that_fails_is_reported(preview: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "BATCH", 1)

    def program() -> None:
        refused = core.v1.ConfigMap("refused")
        for number in range(4):
            core.v1.ConfigMap(f"after-{number}", data={"after": refused.id})

    with pytest.raises(ValueError, match="no such thing"):
        run(program, preview=preview)


@pytest.mark.parametrize(("preview", "registered"), [(True, 32), (False, 0)])
def test_a_preview_registers_while_the_program_runs(
    preview: bool, registered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the last few; an update would wait until machines have what the program made so far."""
    monkeypatch.setattr(registrations, "BATCH", 4)
    echo, seen = Echo(), [0]

    def program() -> None:
        last: pulumi.Output[str] | None = None
        for number in range(40):
            last = core.v1.ConfigMap(f"map-{number}", data={"after": last} if last else {}).id
        seen[0] = len(echo.names)

    assert len(run(program, echo=echo, preview=preview)) == 40
    assert registered <= seen[0] <= registered + 4


def test_one_made_from_the_outputs_of_another_is_made_while_a_preview_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "BATCH", 2)

    def program() -> None:
        for number in range(9):
            made = core.v1.ConfigMap(f"map-{number}")
            made.id.apply(lambda _, number=number: core.v1.ConfigMap(f"of-{number}"))

    assert len(run(program, preview=True)) == 18


def test_a_wait_leaves_nothing_that_the_next_one_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "BATCH", 2)
    ready: list[int] = []

    def program() -> None:
        loop: Any = asyncio.get_running_loop()
        for number in range(100):
            core.v1.ConfigMap(f"map-{number}")
            ready.append(len(loop._ready))

    run(program, preview=True)
    assert max(ready[-10:]) < max(ready[:10]) + 100
