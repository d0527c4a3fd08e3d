"""All uses of the internals of Pulumi's SDK beside recorder.py, as any version of the SDK may change them."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import pulumi
from pulumi._types import is_input_type
from pulumi.runtime.config import CONFIG
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import SETTINGS, monitor_supports_feature


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
