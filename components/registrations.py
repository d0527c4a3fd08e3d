"""Waiting until every resource of the program is registered, in time that grows with their number."""

import asyncio
from contextlib import suppress

import pulumi

from components import engine


def wait_for_all() -> None:
    """From here on, the program's end waits for all resources at once. Call it first; under mocks it does nothing.

    The SDK does so anyhow, but looks at every value that is still awaited whenever one arrives: with 100 machines that
    is four fifths of the time of a preview, and with 500 nearly all. What it finds left after this is little.
    A resource that fails ends the wait, and is reported by the SDK.
    """
    resources: list[pulumi.Resource] = []

    async def registered() -> None:
        seen = 0
        while seen < len(resources):
            new, seen = resources[seen:], len(resources)
            await asyncio.gather(*(resource.urn.future() for resource in new))

    with suppress(pulumi.RunError):
        pulumi.run(registered)
        engine.on_every_resource(resources.append)
