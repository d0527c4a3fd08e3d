"""The outputs of this stack's last update, through which the program remembers what it has made."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pulumi

from components import engine

_ATTEMPTS = 10
_PAUSE_SECONDS = 0.5


class UnreadableStateError(pulumi.RunError):
    """The state of this stack could not be read, even after several attempts."""


def last(*names: str) -> pulumi.Output[Mapping[str, Any]]:
    """The named outputs of the stack's last update that wrote them; empty before the first. Secret ones come unmarked.

    They are read from the state, without any machine or cluster. A StackReference to this stack would read the same,
    but only once: if the engine is just writing the state (in a folder backend, a metadata file is truncated first),
    the update fails. Here the read is repeated; awaiting raises UnreadableStateError if it keeps failing.
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
        except Exception as error:  # The SDK raises no narrower type.
            problem = error
            await asyncio.sleep(_PAUSE_SECONDS)
    raise UnreadableStateError(f"the state of {name} cannot be read: {problem}") from problem
