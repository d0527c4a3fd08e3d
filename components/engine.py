"""All uses of the internals of Pulumi's SDK beside recorder.py, as any version of the SDK may change them."""

import asyncio
import gc
import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, cast

import pulumi
from pulumi._types import is_input_type
from pulumi.runtime import resource, rpc
from pulumi.runtime.config import CONFIG
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.settings import SETTINGS, monitor_supports_feature

_DEBUG = "ARGUS_DEBUG"
"""With this variable, `pulumi --debug` shows the SDK's own messages."""


def spare_costs() -> None:
    """Leave out what costs much for each resource and serves nobody. Call it before the first resource is made.

    - The SDK's debug messages: several for each resource, and the program waits until the engine has each one.
    - The search for cyclic garbage. One function of the SDK leaves nearly all of it, so another takes its place; what
      else there is mostly lives to the end.
    - The stack trace of each resource, which the engine would keep in the state.
    """
    gc.disable()
    rpc.contains_unknowns = contains_unknowns
    if not os.environ.get(_DEBUG):
        pulumi.log.debug = _nothing
    if hasattr(resource, "_get_stack_trace"):
        resource._get_stack_trace = source_pb2.StackTrace


def contains_unknowns(val: Any) -> bool:
    """Whether a value is not known yet, or one in its dicts and lists at any depth. The SDK asks it of every output."""
    seen: set[int] = set()
    todo = [val]
    while todo:
        each = todo.pop()
        if isinstance(each, pulumi.output.Unknown):
            return True
        if isinstance(each, dict | list) and id(each) not in seen:
            seen.add(id(each))
            todo.extend(map(each.__getitem__, each) if isinstance(each, dict) else each)
    return False


def _nothing(*_: Any, **__: Any) -> None:
    """In place of a debug message."""


def stack_configuration() -> Mapping[str, str]:
    """Every key of the stack (`project:key`) with its text. pulumi.Config cannot list the keys of a stack."""
    values: Mapping[str, str] = CONFIG.get()
    return values


def has_error_hooks() -> bool:
    """Whether the engine supports error hooks; older engines only end the program."""
    return monitor_supports_feature(resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS)


def parallel_operations() -> int:
    """How many resources the engine creates or updates at the same time."""
    return int(SETTINGS.parallel or 1)


def on_every_resource(call: Callable[[pulumi.Resource], None]) -> None:
    """Call `call` with every resource when it is made. Raises pulumi.RunError where there is no stack."""
    pulumi.runtime.register_stack_transformation(lambda args: call(args.resource))


class Program:
    """The program's own run, which can wait before its end. Make it in the program, before the first resource."""

    def __init__(self) -> None:
        self._loop = cast(Any, asyncio.get_running_loop())
        self._task = cast(Any, asyncio.current_task())
        # The event loop counts what is ready, then runs as many: the program, and no more than what is ready now.
        self._expected: int = len(self._loop._ready)

    def may_wait(self) -> bool:
        """Whether this is a preview, and the program itself runs, not a callback such as that of an `apply`."""
        return pulumi.runtime.is_dry_run() and asyncio.current_task() is self._task

    def let_register(self, resources: Iterable[pulumi.Resource]) -> None:
        """Wait until these resources are registered, or have failed. Call it only where the program may wait.

        Everything that is already under way goes on meanwhile. What these resources wait for must already be made.
        """
        urns = [asyncio.ensure_future(each.urn.future()) for each in resources]
        registered = asyncio.ensure_future(asyncio.wait(urns))
        # The SDK's own wait, for functions of plugins, leaves as much as was ready when it began: more each time, and
        # every wait goes through all of it.
        asyncio.tasks._leave_task(self._loop, self._task)
        while not registered.done():
            self._loop._run_once()
        while len(self._loop._ready) < self._expected:
            self._loop.call_soon(_nothing)
        asyncio.tasks._enter_task(self._loop, self._task)
        registered.result()


def fields(value: Any) -> MutableMapping[str, Any] | None:
    """The fields of a dict or of one of the SDK's arguments, to read and to change; None for any other value."""
    if isinstance(value, dict):
        return value
    return vars(value) if is_input_type(type(value)) else None


def foreseen(output: pulumi.Output[str], guess: pulumi.Output[str]) -> pulumi.Output[str]:
    """The output; in a preview that does not know it yet, `guess`, unless that is empty. An update never guesses."""
    if not pulumi.runtime.is_dry_run():
        return output

    async def chosen() -> Any:  # An output, which from_input takes for its value.
        unknown = not await output.is_known()
        return guess if unknown and await guess.future() else output

    return pulumi.Output.from_input(chosen())


async def read_stack_outputs(stack: str) -> Mapping[str, Any]:
    """The outputs of a stack (`organization/project/name`) from its state; failures raise a plain Exception."""
    answer = await pulumi.runtime.invoke_async("pulumi:pulumi:readStackOutputs", {"name": stack})
    outputs: Mapping[str, Any] = answer.get("outputs", {})
    return outputs
