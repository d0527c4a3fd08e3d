"""What this stack's last update left as its outputs: the program's memory of what it has made."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pulumi

from components import engine

_ATTEMPTS = 10
_PAUSE_SECONDS = 0.5


class UnreadableStateError(pulumi.RunError):
    """The state of this stack could not be read, however often it was tried."""


def last(*names: str) -> pulumi.Output[Mapping[str, Any]]:
    """Those outputs that the stack's last finished update left, none before the first. Not for secret ones.

    They come from the state: no machine and no cluster is asked. A StackReference to this stack would say the same,
    but its one read can meet the engine's own writing of the state (in a folder, a file of metadata is cut to nothing
    first), and then fails the update. Here it is read again; UnreadableStateError (awaited) if that does not help.
    """

    async def chosen() -> Mapping[str, Any]:
        outputs = await _read()
        return {name: outputs[name] for name in names if name in outputs}

    return pulumi.Output.from_input(chosen())


async def _read() -> Mapping[str, Any]:
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    problem: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return await engine.read_stack_outputs(name)
        except Exception as error:  # The SDK raises nothing narrower.
            problem = error
            await asyncio.sleep(_PAUSE_SECONDS)
    raise UnreadableStateError(f"the state of {name} cannot be read: {problem}") from problem
