"""All uses of the internals of Pulumi's SDK beside recorder.py, as any version of the SDK may change them."""

import asyncio
import gc
import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

import pulumi
from pulumi._types import is_input_type
from pulumi.runtime import resource
from pulumi.runtime.config import CONFIG
from pulumi.runtime.proto import resource_pb2, source_pb2
from pulumi.runtime.settings import SETTINGS, monitor_supports_feature
from pulumi.runtime.sync_await import _sync_await

_DEBUG = "ARGUS_DEBUG"
"""With this variable, `pulumi --debug` shows the SDK's own messages."""
_GARBAGE = (100_000, 5, 1_000_000)
"""The collector's thresholds: it looks at what was made lately, often enough for what a registration leaves behind."""


def spare_costs() -> None:
    """Leave out what costs much for each resource and serves nobody. Call it before the first resource is made.

    - The SDK's debug messages: several for each resource, and the program waits until the engine has each one.
    - The search for cyclic garbage among all objects, most of which live to the end: only young ones are looked at.
    - The stack trace of each resource, which the engine would keep in the state.
    """
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    if not os.environ.get(_DEBUG):
        pulumi.log.debug = _nothing
    if hasattr(resource, "_get_stack_trace"):
        resource._get_stack_trace = source_pb2.StackTrace


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


def let_register(resources: Iterable[pulumi.Resource]) -> None:
    """In a preview, wait until these resources are registered, or have failed; an update does not wait.

    Everything that is already under way goes on meanwhile. The SDK does the same where a program calls a function of a
    plugin. What these resources wait for must already be made.
    """
    if pulumi.runtime.is_dry_run():
        _sync_await(asyncio.wait([asyncio.ensure_future(each.urn.future()) for each in resources]))


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
