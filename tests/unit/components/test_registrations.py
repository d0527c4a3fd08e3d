"""The program's end waits for every resource, also for one that is made from another's outputs."""

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


def run(program: Callable[[], None]) -> list[str]:
    """Run a program as `pulumi up` does. Returns the names of its resources."""
    echo = Echo()
    pulumi.runtime.set_mocks(echo, project="argus", stack="test")
    root = get_root_resource()
    set_root_resource(None)
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()

    def whole() -> None:
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


def test_one_that_fails_is_reported() -> None:
    def program() -> None:
        refused = core.v1.ConfigMap("refused")
        core.v1.ConfigMap("after", data={"after": refused.id})

    with pytest.raises(ValueError, match="no such thing"):
        run(program)
